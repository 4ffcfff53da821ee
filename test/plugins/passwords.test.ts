import { test } from 'tap'
import { loadArgon2 } from '../../src/passwords/argon2.ts'
import { wrapBcrypt } from '../../src/passwords/wrapped-bcrypt.ts'
import { HASHES, PASSWORD, SET_HASH, signUpBody, startApp, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

const busy = { message: 'Too many passwords are being verified. Please try again.', code: 'BUSY' }

test('a sign-in beyond the bound of the queue gets 503 and Retry-After', async t => {
  const { post, signUp } = await startApp(t, {
    ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 5, ARGON2_MEMORY_KIB: 19456, DATABASE_POOL_MAX: 20
  })
  await signUp('alice')
  const responses = await Promise.all(Array.from({ length: 20 }, async () =>
    await post('/api/auth/signin', { username: 'alice', password: PASSWORD })))
  const rejected = responses.filter(response => response.status !== 200)
  t.ok(rejected.length > 0)
  t.ok(rejected.length <= 17, 'one client holds at most half of the six places')
  for (const response of rejected) {
    t.strictSame([response.status, response.body], [503, busy])
    t.equal(response.headers['retry-after'], '1')
  }
  t.equal((await post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
})

test('an unknown user costs a verification, as a wrong password does', async t => {
  const { app, post, signUp } = await shareApp(t)
  await signUp('alice')
  const hashes: Array<string | undefined> = []
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      hashes.push(args[0])
      return await verify(...args)
    }
  })
  t.equal((await post('/api/auth/signin', { username: 'nobody', password: PASSWORD })).status, 404)
  t.equal((await post('/api/auth/signin', { username: 'alice', password: 'wrong' })).status, 401)
  t.match(hashes, [undefined, /^\$argon2id\$/])
  t.equal(await verify(undefined, 'the password of no user', '127.0.0.1'), false)
})

for (const [what, hash] of [
  ['too much memory', '$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
  ['too many passes', '$argon2id$v=19$m=1024,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
  ['an invalid form', '$argon2id$nonsense']
] as const) {
  test(`a stored hash with ${what} is not verified: the password is wrong, and the log says why`, async t => {
    const { logs, post, signUp, sql } = await shareApp(t)
    await signUp('alice')
    await sql(SET_HASH, [hash])
    const response = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
    t.equal(response.status, 401)
    t.strictSame(response.body, { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null })
    t.match(logs.filter(line => line['level'] === 50), [{ msg: 'a stored password hash has an unknown format or is too costly' }])
  })
}

test('a sign-in rehashes a cheaper hash at the cost of the settings, but never lowers the cost', async t => {
  const old = await startApp(t, { ARGON2_MEMORY_KIB: 1024, ARGON2_TIME: 1 })
  await old.post('/api/auth/signup', signUpBody('alice'))
  const hash = async () => String((await old.sql(HASHES))[0]?.['hash'])
  const signIn = async ({ post }: TestApp) =>
    (await post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status

  const raised = await startApp(t, { DATABASE_URL: old.url, ARGON2_MEMORY_KIB: 2048, ARGON2_TIME: 2 })
  t.equal(await signIn(raised), 200)
  const rehashed = await hash()
  t.match(rehashed, '$argon2id$v=19$m=2048,t=2,p=1$')
  t.equal(await signIn(raised), 200)
  t.equal(await hash(), rehashed, 'only once')
  t.equal(await signIn(old), 200)
  t.equal(await hash(), rehashed, 'not lowered')
})

test('a rehash that finds the queue full is left to the next sign-in', async t => {
  const { app } = await startApp(t, { ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 0, ARGON2_TIME: 3 })
  const weak = '$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'
  const running = app.passwords.hash(PASSWORD, '127.0.0.1')
  t.equal(await app.passwords.rehash(weak, PASSWORD, '127.0.0.1'), undefined)
  await running
  const rehashed = await until('room in the queue', async () => await app.passwords.rehash(weak, PASSWORD, '127.0.0.1'))
  t.match(rehashed, /^\$argon2id\$v=19\$m=1024,t=3/)
})

test('a password is the same on devices that encode its characters differently', async t => {
  const service = await shareApp(t)
  const [composed, decomposed, wide] = ['Zoë hört Händel 1', 'Zoe\u0308 ho\u0308rt Ha\u0308ndel 1', 'Zoë hört Händel １']
  await service.post('/api/auth/signup', { ...signUpBody('alice'), password: composed })
  for (const password of [composed, decomposed, wide]) {
    t.equal((await service.post('/api/auth/signin', { username: 'alice', password })).status, 200)
  }
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: 'Zoe hort Handel 1' })).status, 401)
})

test('three clients that flood the queue leave room for others', async t => {
  const service = await startApp(t, {
    ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 8, ARGON2_MEMORY_KIB: 19456, DATABASE_POOL_MAX: 20, TRUST_PROXY: ['loopback']
  })
  const signIn = async (username: string, address: string) => (await service.post(
    '/api/auth/signin', { username, password: PASSWORD }, { 'x-forwarded-for': address })).status
  const names = ['ann', 'bea', 'cat', 'dora']
  for (const name of names) await service.signUp(name)
  const over = new AbortController()
  const floods = ['ann', 'bea', 'cat'].flatMap((name, index) => Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) await signIn(name, `198.51.100.${index}`)
  }))
  const statuses: number[] = []
  for (let i = 0; i < 30; i++) statuses.push(await signIn('dora', `203.0.113.${i}`))
  over.abort()
  await Promise.all(floods)
  t.ok(statuses.filter(status => status === 200).length >= 27, statuses.join(' '))
})

/** Hashes of PASSWORD by other libraries, which test/src/passwords/read-hash.test.ts names. */
const FOREIGN = {
  bcrypt: '$2a$08$W8hew1Uf83htLbGdd3lufOuQHrIL9Au/qWu7Yuy8DnSI67GtcazZW',
  'wrapped bcrypt': await wrapBcrypt('$2y$04$3yElRrg.wQMBd8APg43IvOtDE7Ul.O2ux5LBNeoPeO2bxexCCTVui',
    await loadArgon2(), { memory: 1024, time: 1, parallelism: 1 }),
  PBKDF2: '$pbkdf2-sha256$1000$b43ROqfU.l8rRei9d46xdg$.nUOVbw/bDajkuWx.H0CvNTkxW55Rl5/1P9x4l6hxRU',
  scrypt: '$scrypt$ln=10,r=8,p=1$qzWGsDZmjFHqnVOKcW6NEQ$1V5r1db38HyTTtCiwrpFSDE3iFvmqnx37fufHRgoU44'
}

for (const [format, hash] of Object.entries(FOREIGN)) {
  test(`the first sign-in with a hash of ${format} replaces it by argon2id, and the version stays`, async t => {
    const service = await shareApp(t)
    await service.signUp('alice')
    await service.sql(SET_HASH, [hash])
    const credential = async () =>
      (await service.sql('SELECT split_part(data ->> \'hash\', \'$\', 2) AS format, version FROM credentials'))[0]
    const imported = await credential()
    const signIn = async (password: string) =>
      (await service.post('/api/auth/signin', { username: 'alice', password })).status
    t.equal(await signIn('wrong horse'), 401)
    t.strictSame(await credential(), imported, 'a wrong password replaces nothing')
    t.equal(await signIn(PASSWORD), 200)
    t.strictSame(await credential(), { ...imported, format: 'argon2id' })
    t.strictSame([await signIn(PASSWORD), await signIn('wrong horse')], [200, 401])
  })
}

test('an imported hash is of the characters as they were typed, or of their normal form', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  // By bcryptjs 2.4.3, of the decomposed and of the composed form.
  const [decomposed, composed] = ['Zoe\u0308 ho\u0308rt Ha\u0308ndel', 'Zoë hört Händel']
  const signIn = async (hash: string, password: string) => {
    await service.sql(SET_HASH, [hash])
    return (await service.post('/api/auth/signin', { username: 'alice', password })).status
  }
  const ofDecomposed = '$2a$04$Fu7ugLdWC1HORPNy68RBd.OpsZZT/5itsGgIKPeXCJztXMi6LCtLW'
  const ofComposed = '$2a$04$IHk78l89dQuEXn0fVXm3ner.SzwHD2WLiRO3nK2XUzBYxZ9kPOV0O'
  t.equal(await signIn(ofDecomposed, decomposed), 200)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: composed })).status, 200,
    'after it was replaced, every form of the password matches')
  t.strictSame([await signIn(ofComposed, composed), await signIn(ofComposed, decomposed)], [200, 200])
  t.equal(await signIn(ofDecomposed, 'Zoe hort Handel'), 401)
})

test('a wrapped hash takes one place of the queue', async t => {
  const { app } = await startApp(t, { ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 0 })
  const running = app.passwords.verify(FOREIGN['wrapped bcrypt'], PASSWORD, '127.0.0.1')
  t.strictSame(app.passwords.load(), { inProgress: 1, queued: 0 })
  await t.rejects(app.passwords.verify(FOREIGN.bcrypt, PASSWORD, '127.0.0.1'), { code: 'BUSY' })
  t.equal(await running, true)
  t.strictSame(app.passwords.load(), { inProgress: 0, queued: 0 })
})
