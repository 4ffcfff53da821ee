import { EventEmitter, once } from 'node:events'
import { test } from 'tap'
import { createDatabase, PASSWORD, type SignedIn, startApp, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

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
    value: async (...args: Parameters<typeof verify>) => {
      verified++
      return await verify(...args)
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
  const rows = await service.sql('SELECT key FROM rate_limits ORDER BY key')
  t.equal(rows.length, 2)
  t.match(rows, [{ key: 'failed:127.0.0.1' }, { key: /^failures:[\w-]{43}$/ }])
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

/** Signs in from an address, as a trusted proxy forwards it. */
const signInFrom = async (service: TestApp, address: string, password: string) => await service.post(
  '/api/auth/signin', { username: 'alice', password }, { 'x-forwarded-for': address })

const OWNER = '2001:db8:1:2::a'

/** Alice has signed in from OWNER, and an attacker has used up the budget of everybody else. */
async function attacked (service: TestApp) {
  await service.signUp('alice')
  const response = await signInFrom(service, OWNER, PASSWORD)
  for (let i = 0; i < 11; i++) await signInFrom(service, `198.51.100.${i}`, 'wrong horse')
  return response.json<SignedIn>()
}

test('while somebody guesses without pause, the owner signs in from a known network and changes the password', async t => {
  const service = await shareApp(t, { TRUST_PROXY: ['loopback'] })
  let { accessToken } = await attacked(service)
  const owner: number[] = []
  const attacker: number[] = []
  for (let i = 0; i < 15; i++) {
    attacker.push((await signInFrom(service, '198.51.100.1', 'wrong horse')).status)
    // Another address of the same /64 network.
    owner.push((await signInFrom(service, `2001:db8:1:2::${i}`, PASSWORD)).status)
  }
  const body = { currentPassword: PASSWORD, newPassword: 'battery staple' }
  const changed = await service.as(accessToken, 'PUT', '/api/users/me/password', body)
  owner.push(changed.status)
  accessToken = changed.json<SignedIn>().accessToken
  owner.push((await service.as(accessToken, 'DELETE', '/api/users/me', { password: 'battery staple' })).status)
  t.strictSame(owner, Array(17).fill(200))
  t.strictSame(new Set(attacker), new Set([429]))
})

test('guesses from a known network have a budget, which a success elsewhere does not reset', async t => {
  const service = await shareApp(t, { TRUST_PROXY: ['loopback'] })
  await service.signUp('alice')
  await signInFrom(service, OWNER, PASSWORD)
  for (let i = 0; i < 10; i++) t.equal((await signInFrom(service, OWNER, 'wrong horse')).status, 401)
  t.equal((await signInFrom(service, OWNER, PASSWORD)).status, 429)
  t.equal((await signInFrom(service, '203.0.113.1', PASSWORD)).status, 200)
  t.equal((await signInFrom(service, OWNER, PASSWORD)).status, 429)
  t.match(service.logs.filter(line => String(line['event']).startsWith('authn_login_fail_max')), [{ userId: 1, ip: OWNER }])
  t.match(service.logs.filter(line => line['event'] === 'authn_login_lock'), [{ level: 40, userId: 1, ip: OWNER }])
})

test('a network is known for 30 days after the last sign-in from it, for that user only', async t => {
  const service = await shareApp(t, { TRUST_PROXY: ['loopback'] })
  await attacked(service)
  await service.signUp('bob')
  await service.sql('UPDATE known_networks SET last_seen_at = now() - interval \'29 days\'')
  t.equal((await signInFrom(service, OWNER, PASSWORD)).status, 200)
  t.match(await service.sql('SELECT now() - last_seen_at < interval \'1 h\' AS renewed FROM known_networks'),
    [{ renewed: true }])
  await service.sql('UPDATE known_networks SET last_seen_at = now() - interval \'31 days\'')
  t.equal((await signInFrom(service, OWNER, PASSWORD)).status, 429)
  await service.sql('UPDATE known_networks SET user_id = 2, last_seen_at = now()')
  t.equal((await signInFrom(service, OWNER, PASSWORD)).status, 429)
})

test('an attempt that waited behind others of the same user for too long gets 503', async t => {
  const service = await startApp(t, { DATABASE_CONNECT_TIMEOUT: 1 })
  await service.signUp('alice')
  const verify = service.app.passwords.verify
  const released = new EventEmitter()
  let verifying = 0
  t.intercept(service.app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      verifying++
      await once(released, 'release')
      return await verify(...args)
    }
  })
  const throttle = service.app.throttleSignIn
  let throttled = 0
  t.intercept(service.app, 'throttleSignIn', {
    value: async (...args: Parameters<typeof throttle>) => {
      throttled++
      return await throttle(...args)
    }
  })
  const responses = Array.from({ length: 5 }, async () => await guess(service, 'alice', PASSWORD))
  await until('four of them to be verified, and one to wait', () => verifying === 4 && throttled === 5)
  const now = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => now() + 2000 })
  released.emit('release')
  const statuses = (await Promise.all(responses)).map(({ status }) => status)
  t.strictSame(statuses.sort(), [200, 200, 200, 200, 503])
})
