import { performance } from 'node:perf_hooks'
import { test, type Test } from 'tap'
import { startApp } from '../support/app.ts'
import { openMailbox, signUpVerified } from '../support/mailbox.ts'

/** The share below which a difference, in any round, counts as none. Without a dummy hash it would be tenfold. */
const MARGIN = 0.05
const ROUNDS = 5

/** The value below which a share of the values is. */
const quantile = (values: number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN

interface Comparison {
  samples: number
  /** the quantile of the times that is compared; a low one if other load on the machine lengthens some */
  share: number
  /** by name; each takes one sample */
  kinds: Record<string, () => Promise<void>>
  /** runs before each sample, not measured */
  before?: () => Promise<unknown>
}

/** Asserts that two kinds of requests take the same time. */
async function isEqual (t: Test, { samples, share, kinds, before = async () => {} }: Comparison): Promise<void> {
  /** The difference of the two times, as a share of the shorter. */
  async function measure (): Promise<number> {
    const times = Object.entries(kinds).map(([name, request]) => ({ name, request, measured: new Array<number>() }))
    for (let i = 0; i < samples; i++) {
      // Alternately first, so that nothing periodic affects only one of them.
      for (const { request, measured } of i % 2 === 1 ? [...times].reverse() : times) {
        await before()
        const begin = performance.now()
        await request()
        measured.push(performance.now() - begin)
      }
    }
    const values = times.map(({ measured }) => quantile(measured, share))
    t.comment(times.map(({ name }, index) => `${name} ${values[index]?.toFixed(2)} ms`).join(', '))
    return (Math.max(...values) - Math.min(...values)) / Math.min(...values)
  }

  // A real difference is measured in every round, unlike one caused by a busy moment.
  let smallest = Infinity
  for (let round = 0; round < ROUNDS && smallest >= MARGIN; round++) smallest = Math.min(smallest, await measure())
  t.ok(smallest < MARGIN, `${(smallest * 100).toFixed(1)} %`)
}

test('the time of a sign-in does not reveal whether the user exists', async t => {
  // The default costs, because cheap hashes would give everything else more weight than it has.
  const service = await startApp(t, {
    ARGON2_MEMORY_KIB: 19456, ARGON2_TIME: 2, SIGNIN_MAX_FAILURES: 1000, RATE_LIMIT_SIGNIN_FAILURES: 0
  })
  await service.signUp('alice')
  const signIn = (username: string, expected: number) => async () => {
    const { status } = await service.post('/api/auth/signin', { username, password: 'wrong horse' })
    if (status !== expected) t.fail(`${username}: ${status}`)
  }
  const kinds = { 'wrong password': signIn('alice', 401), 'unknown user': signIn('nobody', 404) }
  await isEqual(t, { samples: 120, share: 0.25, kinds })
})

for (const path of ['password/forgot', 'email/verification', 'password/reset']) {
  test(`neither the time nor the response of ${path} reveals whether an address exists`, async t => {
    const box = await openMailbox(t, { RATE_LIMIT_SIGNIN: 0, RATE_LIMIT_SIGNIN_FAILURES: 0 })
    await signUpVerified(box, 'alice')
    if (path === 'email/verification') await box.sql('UPDATE users SET email_verified_at = NULL')
    const seen = new Set<string>()
    const send = (email: string) => async () => {
      const { status, headers, body } = await box.post(`/api/auth/${path}`, { email, ...code })
      const { date, 'x-request-id': id, ...compared } = headers
      seen.add(JSON.stringify([status, compared, body]))
    }
    const code = path === 'password/reset' ? { code: '000000', newPassword: 'battery staple' } : {}
    if (path === 'password/reset') {
      await box.post('/api/auth/password/forgot', { email: 'alice@example.com' })
      await box.letter('alice@example.com')
    }
    const kinds = { known: send('alice@example.com'), unknown: send('nobody@example.com') }
    // Otherwise only the first samples would be compared with a code.
    const before = async () => {
      if (path === 'password/reset') await box.sql('DELETE FROM rate_limits')
    }
    await isEqual(t, { samples: 200, share: 0.5, kinds, before })
    t.equal(seen.size, 1, [...seen].join('\n'))
  })
}
