import { performance } from 'node:perf_hooks'
import { test } from 'tap'
import { startApp } from './support/app.ts'

const SAMPLES = 200

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

test('the time of a sign-in does not tell an unknown user from a wrong password', async t => {
  // The costs as shipped: with cheap hashes everything else would weigh more than it does.
  const service = await startApp(t, { ARGON2_MEMORY_KIB: 19456, ARGON2_TIME: 2, SIGNIN_MAX_FAILURES: 1000 })
  await service.signUp('alice')
  const times: Record<string, number[]> = { alice: [], nobody: [] }
  for (let i = 0; i < SAMPLES; i++) {
    for (const [username, measured] of Object.entries(times)) {
      const begin = performance.now()
      const { status } = await service.post('/api/auth/signin', { username, password: 'wrong horse' })
      measured.push(performance.now() - begin)
      if (status !== (username === 'alice' ? 401 : 404)) t.fail(`${username}: ${status}`)
    }
  }
  const [wrong, unknown] = [median(times['alice'] ?? []), median(times['nobody'] ?? [])]
  t.comment(`wrong password ${wrong.toFixed(2)} ms, unknown user ${unknown.toFixed(2)} ms`)
  t.ok(Math.abs(wrong - unknown) / Math.min(wrong, unknown) < 0.05, `${wrong} and ${unknown} ms`)
})
