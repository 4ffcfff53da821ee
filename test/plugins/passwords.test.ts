import { test } from 'tap'
import { PASSWORD, signUpBody, startApp } from '../support/app.ts'
import { until } from '../support/wait.ts'

const busy = { message: 'Too many passwords are being checked. Please try again.', code: 'BUSY' }

test('beyond the hashes in flight and the queue a sign-in is told to come again', async t => {
  const { post, signUp } = await startApp(t, { ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 2, ARGON2_MEMORY_KIB: 19456, DATABASE_POOL_MAX: 20 })
  await signUp('alice')
  const responses = await Promise.all(Array.from({ length: 20 }, async () =>
    await post('/api/auth/signin', { username: 'alice', password: PASSWORD })))
  const refused = responses.filter(response => response.status !== 200)
  t.ok(refused.length > 0)
  t.ok(refused.length <= 17, 'three have a place at any time')
  for (const response of refused) {
    t.strictSame([response.status, response.body], [503, busy])
    t.equal(response.headers['retry-after'], '1')
  }
  t.equal((await post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
})

test('an unknown user costs a verification as a wrong password does', async t => {
  const { app, post, signUp } = await startApp(t)
  await signUp('alice')
  const asked: Array<string | undefined> = []
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (hash: string | undefined, password: string) => {
      asked.push(hash)
      return await verify(hash, password)
    }
  })
  t.equal((await post('/api/auth/signin', { username: 'nobody', password: PASSWORD })).status, 404)
  t.equal((await post('/api/auth/signin', { username: 'alice', password: 'wrong' })).status, 401)
  t.match(asked, [undefined, /^\$argon2id\$/])
  t.equal(await verify(undefined, 'nobody has this password'), false)
})

for (const [what, hash] of [
  ['a giant memory', '$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
  ['a giant time', '$argon2id$v=19$m=1024,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
  ['no form', '$argon2id$nonsense']
] as const) {
  test(`a stored hash with ${what} is not run: a wrong password, and a line in the log`, async t => {
    const { logs, post, signUp, sql } = await startApp(t)
    await signUp('alice')
    await sql('UPDATE users SET password_hash = $1', [hash])
    const response = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
    t.equal(response.status, 401)
    t.strictSame(response.body, { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null })
    t.match(logs.filter(line => line['level'] === 50), [{ msg: 'a stored password hash is not argon2id or too costly to run' }])
  })
}

test('a sign-in raises an old hash to the settings, and never lowers one', async t => {
  const old = await startApp(t, { ARGON2_MEMORY_KIB: 1024, ARGON2_TIME: 1 })
  await old.post('/api/auth/signup', signUpBody('alice'))
  const hash = async () => String((await old.sql('SELECT password_hash FROM users'))[0]?.['password_hash'])
  const signIn = async (service: typeof old) => (await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status

  const risen = await startApp(t, { DATABASE_URL: old.url, ARGON2_MEMORY_KIB: 2048, ARGON2_TIME: 2 })
  t.equal(await signIn(risen), 200)
  const raised = await hash()
  t.match(raised, '$argon2id$v=19$m=2048,t=2,p=1$')
  t.equal(await signIn(risen), 200)
  t.equal(await hash(), raised, 'once')
  t.equal(await signIn(old), 200)
  t.equal(await hash(), raised, 'not lowered')
})

test('a raise that finds the queue full is left to the next sign-in', async t => {
  const { app } = await startApp(t, { ARGON2_CONCURRENCY: 1, ARGON2_QUEUE: 0, ARGON2_TIME: 3 })
  const weak = '$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'
  const running = app.passwords.hash(PASSWORD)
  t.equal(await app.passwords.rehash(weak, PASSWORD), undefined)
  await running
  t.match(await until('room in the queue', async () => await app.passwords.rehash(weak, PASSWORD)), /^\$argon2id\$v=19\$m=1024,t=3/)
})
