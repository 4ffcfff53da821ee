import { test } from 'tap'
import { createDatabase, PASSWORD, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'

const settings = { TRUST_PROXY: ['loopback'], RATE_LIMIT_SIGNIN_FAILURES: 5 }

const signIn = async (service: TestApp, username: string, { from, password = 'wrong horse' }: { from: string, password?: string }) =>
  await service.post('/api/auth/signin', { username, password }, { 'x-forwarded-for': from })

const tooMany = { message: 'Too many requests. Please wait and try again.', code: 'TOO_MANY_REQUESTS' }

/** Tries one password on each of five users, who need not exist. */
async function spray (service: TestApp, from: string) {
  for (let i = 0; i < 5; i++) await signIn(service, `user${i}`, { from })
}

test('an address that fails on many users is slowed, and others are not', async t => {
  const service = await shareApp(t, settings)
  await service.signUp('alice')
  await spray(service, '198.51.100.1')
  const response = await signIn(service, 'alice', { from: '198.51.100.1', password: PASSWORD })
  t.strictSame([response.status, response.body], [429, tooMany])
  t.match(response.headers['retry-after'], /^([1-9]|[1-5]\d|60)$/)
  t.equal((await signIn(service, 'alice', { from: '203.0.113.1', password: PASSWORD })).status, 200)
  t.match(service.logs.filter(line => line['event'] === 'excess_rate_limit_exceeded'),
    [{ ip: '198.51.100.1', route: '/api/auth/signin', failures: 5 }])

  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 61_000 })
  t.equal((await signIn(service, 'alice', { from: '198.51.100.1', password: PASSWORD })).status, 200)
})

test('a burst exceeds the limit by no more than the sign-ins that are verified at once', async t => {
  const service = await shareApp(t, settings)
  const responses = await Promise.all(Array.from({ length: 60 }, async (_, index) =>
    await signIn(service, `user${index}`, { from: '198.51.100.9' })))
  const verified = responses.filter(({ status }) => status === 404).length
  t.ok(verified >= 5 && verified <= 12, `${verified} were verified`)
  t.equal(responses.filter(({ status }) => status === 429).length, 60 - verified)
})

test('a network that fills its queue leaves room for others of its site', async t => {
  const service = await shareApp(t, { ...settings, RATE_LIMIT_SIGNIN_FAILURES: 1000 })
  let release = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  t.intercept(service.app.passwords, 'verify', {
    value: async (_hash: string, _password: string, network: string) => {
      if (network.startsWith('2001:db8:5:1:')) await released
      return false
    }
  })
  const flood = Promise.all(Array.from({ length: 200 }, async (_, index) =>
    await signIn(service, `user${index}`, { from: '2001:db8:5:1::1' })))
  t.equal((await signIn(service, 'other', { from: '2001:db8:5:2::1' })).status, 404)
  release()
  await flood
})

test('successful sign-ins are not counted, and a user who is known there is not slowed', async t => {
  const service = await shareApp(t, settings)
  await service.signUp('alice')
  for (let i = 0; i < 10; i++) {
    t.equal((await signIn(service, 'alice', { from: '198.51.100.2', password: PASSWORD })).status, 200)
  }
  await spray(service, '198.51.100.2')
  t.equal((await signIn(service, 'bob', { from: '198.51.100.2' })).status, 429)
  t.equal((await signIn(service, 'alice', { from: '198.51.100.2', password: PASSWORD })).status, 200)
})

test('replicas count together: another one notices with its first failure', async t => {
  const url = await createDatabase(t)
  const shared = { ...settings, DATABASE_URL: url }
  // Another setting, so that it is another service.
  const [here, there] = [await shareApp(t, shared), await shareApp(t, { ...shared, SESSION_CACHE: 'off' })]
  await spray(here, '198.51.100.3')
  t.equal((await signIn(there, 'user5', { from: '198.51.100.3' })).status, 404)
  t.equal((await signIn(there, 'user6', { from: '198.51.100.3' })).status, 429)
})

test('with RATE_LIMIT_SIGNIN_FAILURES=0 failures are not limited', async t => {
  const service = await shareApp(t, { ...settings, RATE_LIMIT_SIGNIN_FAILURES: 0 })
  await spray(service, '198.51.100.4')
  t.equal((await signIn(service, 'user5', { from: '198.51.100.4' })).status, 404)
})

test('the networks of one IPv6 site share sixteen times the limit of one', async t => {
  const service = await shareApp(t, { ...settings, RATE_LIMIT_SIGNIN_FAILURES: 1 })
  for (let i = 0; i < 16; i++) {
    t.equal((await signIn(service, `user${i}`, { from: `2001:db8:0:${i}::1` })).status, 404)
  }
  t.equal((await signIn(service, 'user16', { from: '2001:db8:0:16::1' })).status, 429, 'the seventeenth network')
  t.equal((await signIn(service, 'user17', { from: '2001:db8:1::1' })).status, 404, 'another site')
})
