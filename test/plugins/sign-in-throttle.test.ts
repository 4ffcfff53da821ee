import { test } from 'tap'
import { createDatabase, PASSWORD, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'

const throttled = { message: 'Too many wrong passwords. Please wait and try again.', code: 'SIGNIN_THROTTLED' }

const guess = async (service: TestApp, username = 'alice', password = 'wrong horse') =>
  await service.post('/api/auth/signin', { username, password })

/** Status and Retry-After of one sign-in. */
const outcome = async (service: TestApp, ...guessed: [username?: string, password?: string]) => {
  const { status, headers } = await guess(service, ...guessed)
  return [status, headers['retry-after']]
}

/** Makes the counters expire sooner, as if time had passed. */
const later = async (service: TestApp, seconds: number) =>
  await service.sql('UPDATE rate_limits SET expire = expire - $1::bigint', [seconds * 1000])

test('after ten wrong passwords, a sign-in gets 429 with the seconds to wait', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  for (let i = 0; i < 10; i++) t.equal((await guess(service)).status, 401)
  const response = await guess(service)
  t.equal(response.status, 429)
  t.strictSame(response.body, throttled)
  t.equal(response.headers['retry-after'], '30')
  t.equal(response.headers['cache-control'], 'no-store')
})

test('during a delay even the right password is rejected; afterwards it signs in and resets the counters', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  for (let i = 0; i < 10; i++) await guess(service)
  let verified = 0
  const verify = service.app.passwords.verify
  t.intercept(service.app.passwords, 'verify', {
    value: async (hash: string | undefined, password: string) => {
      verified++
      return await verify(hash, password)
    }
  })
  t.strictSame(await outcome(service, 'alice', PASSWORD), [429, '30'])
  t.equal(verified, 0)
  await later(service, 30)
  t.strictSame(await outcome(service, 'alice', PASSWORD), [200, undefined])
  t.equal(verified, 1)
  for (let i = 0; i < 10; i++) t.equal((await guess(service)).status, 401, 'the counters were reset')
})

test('the delay doubles with each wrong password, up to the maximum', async t => {
  const service = await shareApp(t, { SIGNIN_MAX_FAILURES: 2, SIGNIN_DELAY: 30, SIGNIN_DELAY_MAX: 100 })
  await service.signUp('alice')
  await guess(service)
  for (const delay of [30, 60, 100, 100]) {
    t.equal((await guess(service)).status, 401)
    t.strictSame(await outcome(service), [429, String(delay)])
    await later(service, delay - 2)
    t.equal((await guess(service)).status, 429, 'attempts during a delay do not extend it')
    await later(service, 2)
  }
  t.strictSame(await outcome(service, 'alice', PASSWORD), [200, undefined])
})

test('of 200 concurrent guesses at two replicas, ten are verified', async t => {
  const url = await createDatabase(t)
  const services = [await shareApp(t, { DATABASE_URL: url }), await shareApp(t, { DATABASE_URL: url })]
  await services[0]?.signUp('alice')
  const statuses = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const service = services[i % 2]
    return service ? (await guess(service)).status : 0
  }))
  const count = (status: number) => statuses.filter(seen => seen === status).length
  t.strictSame({ verified: count(401), throttled: count(429) }, { verified: 10, throttled: 190 })
})

test('concurrent sign-ins with the right password all succeed', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await guess(service, 'alice', PASSWORD)).status))
  t.strictSame(statuses.filter(status => status !== 200), [])
})

test('an unknown username is throttled in the same way', async t => {
  const service = await shareApp(t)
  for (let i = 0; i < 10; i++) t.equal((await guess(service, 'nobody')).status, 404)
  t.strictSame(await outcome(service, 'nobody'), [429, '30'])
})

test('the delay is per user, and a username in another case is the same user', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await service.signUp('bob')
  for (let i = 0; i < 10; i++) await guess(service, i % 2 ? 'alice' : 'ALICE')
  t.equal((await guess(service, 'Alice', PASSWORD)).status, 429)
  t.equal((await guess(service, 'bob', PASSWORD)).status, 200)
})

test('a sign-in that could not be verified is not counted', async t => {
  const service = await shareApp(t, { SIGNIN_MAX_FAILURES: 2 })
  await service.signUp('alice')
  const verify = service.app.passwords.verify
  t.intercept(service.app.passwords, 'verify', { value: async () => { throw new Error('a fault') } })
  for (let i = 0; i < 5; i++) t.equal((await guess(service)).status, 500)
  t.intercept(service.app.passwords, 'verify', { value: verify })
  t.equal((await guess(service, 'alice', PASSWORD)).status, 200)
})

test('the table does not contain usernames', async t => {
  const service = await shareApp(t)
  await guess(service, 'hunter2-typed-in-the-wrong-field')
  const rows = await service.sql('SELECT key FROM rate_limits')
  t.equal(rows.length, 1)
  t.match(rows, [{ key: /^failures:[\w-]{43}$/ }])
})

test('failed sign-ins and the start of a delay are security events, without the username', async t => {
  const service = await shareApp(t, { SIGNIN_MAX_FAILURES: 2 })
  await service.signUp('alice')
  await guess(service)
  await guess(service)
  await guess(service, 'hunter2')
  const events = service.logs.filter(line => 'event' in line)
    .map(({ event, level, userId, seconds, ip }) => ({ event, level, userId, seconds, ip }))
  t.match(events, [
    { event: 'authn_login_fail', level: 40, userId: 1, ip: '127.0.0.1' },
    { event: 'authn_login_fail_max', level: 40, seconds: 30, ip: '127.0.0.1' },
    { event: 'authn_login_fail', level: 40, userId: 1, ip: '127.0.0.1' },
    { event: 'authn_login_fail', level: 40, userId: undefined, ip: '127.0.0.1' }
  ])
  t.notMatch(JSON.stringify(service.logs), 'hunter2')
})
