import { type Test, test } from 'tap'
import { HASHES, PASSWORD, SET_HASH, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'

const wrong = { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null }

const signIn = async ({ post }: TestApp, password = PASSWORD) => {
  const { status, body } = await post('/api/auth/signin', { username: 'alice', password })
  return { status, body }
}

const versions = async (service: TestApp) => await service.sql('SELECT version FROM credentials')

/** Acts once, after a password has been verified. */
function afterVerifying (t: Test, { app }: TestApp, act: () => Promise<unknown>) {
  const verify = app.passwords.verify
  let isFirst = true
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      const matches = await verify(...args)
      const acts = isFirst
      isFirst = false
      if (acts) await act()
      return matches
    }
  })
}

const FOREIGN = [
  '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
  '$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
  '$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
  '$pbkdf2-sha256$i=600000,l=32$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG',
  '$scrypt$ln=17,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG',
  '$argon2id-bcrypt$2b$10$N9qo8uLOickgx2ZMRZoMye$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWQ'
]

for (const hash of FOREIGN) {
  test(`a hash of another system is stored, and a wrong password does not match it: ${hash.slice(0, 24)}`, async t => {
    const service = await shareApp(t)
    await service.signUp('alice')
    await service.sql(SET_HASH, [hash])
    t.strictSame(await signIn(service), { status: 401, body: wrong })
    t.strictSame(await service.sql(HASHES), [{ hash }])
  })
}

test('what is no hash is not stored, and a user has at most one password', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  for (const data of [
    {}, [], { hash: null }, { hash: 5 }, { hash: 'correct horse' }, { hash: '$md5$abc' }, { hash: '$2x$10$abc' },
    { hash: '$argon2id$a b' }, { hash: '$argon2id-bcrypt$3b$10$abc' }, { hash: `$argon2id$${'a'.repeat(600)}` }
  ]) {
    await t.rejects(service.sql('UPDATE credentials SET data = $1', [JSON.stringify(data)]), { code: '23514' })
  }
  const second = 'INSERT INTO credentials (user_id, kind, data) VALUES (1, $1, $2)'
  await t.rejects(service.sql(second, ['password', { hash: '$argon2id$' }]),
    { code: '23505', constraint: 'credentials_password_key' })
  await service.sql(second, ['other', {}])
  t.match(await signIn(service), { status: 200 })
})

test('a user without a password is rejected as for a wrong one, and costs a verification', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  await service.sql('DELETE FROM credentials')
  const verified: Array<string | undefined> = []
  const verify = service.app.passwords.verify
  t.intercept(service.app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      verified.push(args[0])
      return await verify(...args)
    }
  })
  t.strictSame(await signIn(service), { status: 401, body: wrong })
  const deletion = await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([deletion.status, deletion.body], [401, wrong])
  const body = { currentPassword: PASSWORD, newPassword: 'battery staple' }
  const change = await service.as(accessToken, 'PUT', '/api/users/me/password', body)
  t.strictSame([change.status, change.body], [401, wrong])
  t.strictSame(verified, [undefined, undefined, undefined])
})

for (const [title, text] of [
  ['a password that is deleted in psql', 'DELETE FROM credentials'],
  ['a password that is replaced in psql', `DELETE FROM credentials;
    INSERT INTO credentials (user_id, kind, data) VALUES (1, 'password', '{"hash":"$argon2id$"}')`],
  ['a password that is changed in psql', 'UPDATE credentials SET data = \'{"hash":"$argon2id$"}\'']
] as const) {
  test(`${title} while it is verified opens no session`, async t => {
    const service = await shareApp(t)
    await service.signUp('alice')
    afterVerifying(t, service, async () => await service.sql(text))
    t.strictSame(await signIn(service), { status: 401, body: wrong })
    t.strictSame(await service.sql('SELECT FROM refresh_tokens'), [])
  })
}

test('a password change increments the version, by the service and in psql, and nothing else does', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  t.strictSame(await versions(service), [{ version: 1 }])
  const body = { currentPassword: PASSWORD, newPassword: 'battery staple' }
  t.equal((await service.as(accessToken, 'PUT', '/api/users/me/password', body)).status, 200)
  t.strictSame(await versions(service), [{ version: 2 }])
  await service.sql(SET_HASH, ['$argon2id$'])
  t.strictSame(await versions(service), [{ version: 3 }])
  await service.sql(SET_HASH, ['$argon2id$'])
  await service.sql('UPDATE credentials SET data = data || \'{"note":1}\', last_used_at = now()')
  t.strictSame(await versions(service), [{ version: 3 }])
})

/** A service that rehashes the password of alice at her next sign-in. */
async function startRehashing (t: Test) {
  const service = await shareApp(t, { ARGON2_MEMORY_KIB: 2048 })
  await service.signUp('alice')
  await service.sql(SET_HASH, [await (await shareApp(t)).app.passwords.hash(PASSWORD, '127.0.0.1')])
  await service.sql('UPDATE credentials SET version = 1')
  return service
}

test('a rehash keeps the version, so that sign-ins in progress succeed', async t => {
  const service = await startRehashing(t)
  afterVerifying(t, service, async () => t.match(await signIn(service), { status: 200 }))
  t.match(await signIn(service), { status: 200 })
  t.match(await service.sql(HASHES), [{ hash: /^\$argon2id\$v=19\$m=2048,/ }])
  t.strictSame(await versions(service), [{ version: 1 }])
  await service.sql(SET_HASH, ['$argon2id$'])
  t.strictSame(await versions(service), [{ version: 2 }], 'the setting ended with its transaction')
})

test('a rehash does not overwrite a password that was changed in the meantime', async t => {
  const service = await startRehashing(t)
  afterVerifying(t, service, async () => await service.sql(SET_HASH, ['$argon2id$']))
  t.strictSame(await signIn(service), { status: 401, body: wrong })
  t.strictSame(await service.sql(HASHES), [{ hash: '$argon2id$' }])
})

test('a sign-in costs one look-up and one insertion, which sets last_used_at to within a day', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const names: string[] = []
  const query = service.app.db.query
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      names.push(statement.name)
      return await query(statement)
    }
  })
  t.match(await signIn(service), { status: 200 })
  // The throttle counts in the same database.
  t.strictSame(names.filter(name => !name.startsWith('rate_limits:')), ['credentials_by_username', 'insert_session'])
  const used = async () => await service.sql(`SELECT last_used_at::text, last_used_at > now() - interval '1 min' AS recent,
    updated_at = created_at AS unchanged FROM credentials`)
  const first = await used()
  t.match(first, [{ recent: true, unchanged: true }])
  t.match(await signIn(service), { status: 200 })
  t.strictSame(await used(), first)
  await service.sql('UPDATE credentials SET last_used_at = now() - interval \'25 h\'')
  t.strictSame(await signIn(service, 'wrong horse'), { status: 401, body: wrong })
  t.match(await used(), [{ recent: false }])
  t.match(await signIn(service), { status: 200 })
  t.match(await used(), [{ recent: true, unchanged: true }])
})

test('concurrent first sign-ins of a user do not deadlock', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  for (let round = 0; round < 20; round++) {
    await service.sql('UPDATE credentials SET last_used_at = NULL')
    const signedIn = await Promise.all(Array.from({ length: 8 }, async () => await signIn(service)))
    t.strictSame(signedIn.map(({ status }) => status), Array.from({ length: 8 }, () => 200))
  }
  t.strictSame(await service.sql('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()'),
    [{ deadlocks: 0 }])
})
