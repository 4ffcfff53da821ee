import { performance } from 'node:perf_hooks'
import { test } from 'tap'
import { startApp } from '../support/app.ts'

const SAMPLES = 120

/** What else the machine does lengthens some samples of either kind; the quarter of the quickest says most. */
const quartile = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 4)] ?? NaN

test('the time of a sign-in does not tell an unknown user from a wrong password', async t => {
  // The costs as shipped: with cheap hashes everything else would weigh more than it does.
  const service = await startApp(t, { ARGON2_MEMORY_KIB: 19456, ARGON2_TIME: 2, SIGNIN_MAX_FAILURES: 1000 })
  await service.signUp('alice')

  /** The difference of the two, as a share of the shorter. */
  async function measure (): Promise<number> {
    const times: Record<string, number[]> = { alice: [], nobody: [] }
    for (let i = 0; i < SAMPLES; i++) {
      const order = Object.entries(times)
      // In turn the first, so that nothing which comes back every so often meets one of them only.
      if (i % 2 === 1) order.reverse()
      for (const [username, measured] of order) {
        const begin = performance.now()
        const { status } = await service.post('/api/auth/signin', { username, password: 'wrong horse' })
        measured.push(performance.now() - begin)
        if (status !== (username === 'alice' ? 401 : 404)) t.fail(`${username}: ${status}`)
      }
    }
    const [wrong, unknown] = [quartile(times['alice'] ?? []), quartile(times['nobody'] ?? [])]
    t.comment(`wrong password ${wrong.toFixed(2)} ms, unknown user ${unknown.toFixed(2)} ms`)
    return Math.abs(wrong - unknown) / Math.min(wrong, unknown)
  }

  // A difference that is there is there every time; one of a busy moment is not.
  let smallest = Infinity
  for (let round = 0; round < 3 && smallest >= 0.05; round++) smallest = Math.min(smallest, await measure())
  t.ok(smallest < 0.05, `${(smallest * 100).toFixed(1)} %`)
})
