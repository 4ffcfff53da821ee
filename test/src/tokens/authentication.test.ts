import { test } from 'tap'
import { type Authentication, isFresh } from '../../../src/tokens/authentication.ts'

const WITHIN = 600

/** A session whose user authenticated some seconds ago. */
const session = (seconds: number, amr: Authentication['amr'], hasSecondFactor = false): Authentication =>
  ({ authenticatedAt: new Date(Date.now() - seconds * 1000), amr, hasSecondFactor })

test('a session is fresh until the time has passed', t => {
  t.intercept(Date, 'now', { value: () => 1_800_000_000_000 })
  t.equal(isFresh(session(599, ['pwd']), WITHIN), true)
  t.equal(isFresh(session(600, ['pwd']), WITHIN), false)
  t.equal(isFresh(session(86_400, ['pwd']), 0), true, '0 sets no limit')
  t.end()
})

test('the session of a user with a second factor is fresh only by one, whatever the limit is', t => {
  for (const within of [WITHIN, 0]) {
    t.equal(isFresh(session(1, ['pwd'], true), within), false)
    t.equal(isFresh(session(1, ['fed'], true), within), false)
    t.equal(isFresh(session(1, ['pwd', 'otp', 'mfa'], true), within), true)
    t.equal(isFresh(session(1, ['hwk', 'mfa'], true), within), true)
  }
  t.equal(isFresh(session(601, ['pwd', 'otp', 'mfa'], true), WITHIN), false)
  t.end()
})
