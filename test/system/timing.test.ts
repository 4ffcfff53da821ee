import { performance } from 'node:perf_hooks'
import { test } from 'tap'
import { startApp } from '../support/app.ts'

const SAMPLES = 120

/** The share below which a difference, in any round, counts as none. Without a dummy hash it would be tenfold. */
const MARGIN = 0.05
const ROUNDS = 5

/** The lower quartile, because other load on the machine lengthens some samples of either kind. */
const quartile = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 4)] ?? NaN

test('the time of a sign-in does not reveal whether the user exists', async t => {
  // The default costs, because cheap hashes would give everything else more weight than it has.
  const service = await startApp(t, {
    ARGON2_MEMORY_KIB: 19456, ARGON2_TIME: 2, SIGNIN_MAX_FAILURES: 1000, RATE_LIMIT_SIGNIN_FAILURES: 0
  })
  await service.signUp('alice')

  /** The difference of the two times, as a share of the shorter. */
  async function measure (): Promise<number> {
    const times: Record<string, number[]> = { alice: [], nobody: [] }
    for (let i = 0; i < SAMPLES; i++) {
      const order = Object.entries(times)
      // Alternately first, so that nothing periodic affects only one of them.
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

  // A real difference is measured in every round, unlike one caused by a busy moment.
  let smallest = Infinity
  for (let round = 0; round < ROUNDS && smallest >= MARGIN; round++) smallest = Math.min(smallest, await measure())
  t.ok(smallest < MARGIN, `${(smallest * 100).toFixed(1)} %`)
})
