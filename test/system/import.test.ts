import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { type Test, test } from 'tap'
import { createDatabase, PASSWORD, SECRET, sql, startApp } from '../support/app.ts'
import { CLASSIC_HASH, CLASSIC_PASSWORDS, createClassicDatabase } from '../support/classic.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runCommand, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const settingsOf = (url: string) => ({ ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET })

/** An empty database of this service, and functions that run the commands on it. */
async function createTarget (t: Test) {
  const cwd = await createFolder(t)
  const url = await createDatabase(t)
  const run = async (command: string, args: string[], input?: string) =>
    await runCommand(t, { cwd, env: settingsOf(url), args: [command, ...args], ...input !== undefined && { input } })
  return { cwd, url, run, load: async (...args: string[]) => await run('import', ['--from', ...args]) }
}

/** Everything that is imported about users. */
const stateOf = async (url: string) => await sql(url, `SELECT users.id::int, username, email, users.created_at::text,
    disabled_at IS NOT NULL AS disabled, email_verified_at IS NOT NULL AS verified, data ->> 'hash' AS hash, version,
    ARRAY(SELECT role_id::int FROM user_roles WHERE user_id = users.id ORDER BY role_id) AS roles,
    ARRAY(SELECT event || detail::text FROM audit_events WHERE user_id = users.id) AS audit
  FROM users LEFT JOIN credentials ON user_id = users.id ORDER BY users.id`)

const countUsers = async (url: string) =>
  Number((await sql<{ count: string }>(url, 'SELECT count(*) FROM users'))[0]?.count)

const counts = (imported: string, read: number, present = 0) =>
  [`Users read: ${read.toLocaleString('en-US')}`, imported, `Already there: ${present.toLocaleString('en-US')}`, 'Conflicts: 0', '']
    .join('\n')

test('2,000 users of the classic service: a dry run, an import that is killed, and the rest', async t => {
  const source = await createClassicDatabase(t, 2000)
  const { url, load, cwd } = await createTarget(t)

  t.match(await load(source), {
    code: 0, stdout: `Dry run: nothing was written. Add --apply to write.\n${counts('To import: 2,000', 2000)}`
  })
  t.equal(await countUsers(url), 0)

  // Holds up the second batch, in the middle of its transaction.
  const blocker = new pg.Client({ connectionString: url })
  await blocker.connect()
  t.teardown(async () => await blocker.end())
  await blocker.query(`BEGIN; INSERT INTO users (id, username, email) OVERRIDING SYSTEM VALUE
    VALUES (1500, 'user1500', 'user1500@example.com')`)
  const killed = runServer(t, { cwd, env: settingsOf(url), args: ['import', '--from', source, '--apply'] })
  const waiting = 'SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = \'Lock\''
  await until('the second batch to wait', async () => (await sql(url, waiting)).length > 0)
  killed.child.kill('SIGKILL')
  t.equal(await killed.ended, 'SIGKILL')
  await blocker.query('ROLLBACK')
  t.equal(await countUsers(url), 1000, 'the first batch')

  t.match(await load(source, '--apply'), { code: 0, stdout: counts('Imported: 1,000', 2000, 1000), stderr: /"imported":1000/ })
  t.match(await load(source, '--apply'), { code: 0, stdout: counts('Imported: 0', 2000, 2000), stderr: '' })
  t.strictSame(await stateOf(url), Array.from({ length: 2000 }, (_, index) => {
    const id = index + 1
    const isAdmin = id % 10 === 0
    const minutes = new Date(Date.UTC(2020, 0, 1, 12, id)).toISOString().replace('T', ' ').slice(0, 19)
    return {
      id,
      username: `user${id}`,
      email: `User${id}@example.com`,
      created_at: `${minutes}.123456+00`,
      disabled: false,
      verified: false,
      hash: CLASSIC_PASSWORDS[index % CLASSIC_PASSWORDS.length]?.[1],
      version: 1,
      roles: isAdmin ? [1, 3] : [1],
      audit: [`user_created{"roles": ${isAdmin ? '["user", "admin"]' : '["user"]'}, "imported": true}`]
    }
  }))

  await t.test('everyone signs in with the old password, and from then on by argon2id', async t => {
    const { post } = await startApp(t, { DATABASE_URL: url })
    const hash = async (id: number) => String(
      (await sql(url, 'SELECT data ->> \'hash\' AS hash FROM credentials WHERE user_id = $1', [id]))[0]?.['hash'])
    for (const [index, [password]] of CLASSIC_PASSWORDS.entries()) {
      const username = `user${index + 1}`
      const signIn = async (given: string) => (await post('/api/auth/signin', { username, password: given })).status
      t.match([await signIn('wrong horse'), await signIn(password), await hash(index + 1)], [401, 200, /^\$argon2id\$/])
      const first = await hash(index + 1)
      t.strictSame([await signIn('wrong horse'), await signIn(password), await hash(index + 1)], [401, 200, first])
    }
  })

  await t.test('a sign-up gets an id above those that were imported', async t => {
    const { post } = await startApp(t, { DATABASE_URL: url })
    t.equal((await post('/api/auth/signup', { username: 'ann', email: 'ann@example.com', password: PASSWORD })).status, 200)
    t.strictSame(await sql(url, 'SELECT max(id)::int AS id FROM users'), [{ id: 2001 }])
  })
})

const row = (fields: object) => JSON.stringify({
  id: 1, username: 'ann', email: 'ann@example.com', password: CLASSIC_HASH, roles: ['user'], ...fields
})

/** An NDJSON file with every kind of conflict, of which user 1 has none. */
const CONFLICTS = [
  row({}),
  row({ id: 2, username: 'Ann', email: 'ann2@example.com' }),
  row({ id: 3, username: 'cat', email: 'Ann@Example.com' }),
  row({ id: 1, username: 'dora', email: 'dora@example.com' }),
  row({ id: 1 }),
  row({ id: 4, username: 'a b', email: 'nowhere', admin: true }),
  row({ id: '5', username: undefined }),
  row({ id: 6, username: 'eve', email: 'eve@example.com', roles: ['user', 'root'], created: '2026-02-30T00:00:00Z' }),
  row({ id: 7, username: 'fay', email: 'fay@example.com', password: '$2a$16$W8hew1Uf83htLbGdd3lufOuQHrIL9Au/qWu7Yuy8DnSI67GtcazZW' }),
  row({ id: 8, username: 'gwen', email: 'gwen@example.com', password: 'correct horse' }),
  row({ id: 9, username: 'bob', email: 'bob@example.org' }),
  row({ id: 10, username: 'hugh', email: 'BOB@example.com' }),
  row({ id: 20, username: 'ian', email: 'ian@example.com' }),
  row({ id: 11, created: 'yesterday', disabled: 1, emailVerified: null, password: 5, roles: 'user' }),
  '[]', 'null', '{"id":12,',
  ''
].join('\n')

const FAULTS = `
  line 2, user 2: the username Ann differs only in case from that of user 1 earlier in the source, ann
  line 3, user 3: the e-mail address Ann@Example.com differs only in case from that of user 1 earlier in the source, ann@example.com
  line 4, user 1: the id belongs to the user ann earlier in the source
  line 5, user 1: the id belongs to the user ann earlier in the source
  line 6, user 4: unknown field "admin"; username must be 3 to 64 letters, digits, dots, underscores or hyphens; email must be an e-mail address of at most 254 characters
  line 7, user "5": username must be 3 to 64 letters, digits, dots, underscores or hyphens; id must be a whole number from 1 to 2^52
  line 8, user 6: unknown role "root"; created is a time that does not exist: 2026-02-30T00:00:00Z
  line 9, user 7: the password hash is too costly to be verified
  line 10, user 8: the password hash has an unknown format
  line 11, user 9: the username bob belongs to user 20 of this service
  line 12, user 10: the e-mail address BOB@example.com differs only in case from that of user 20 of this service, bob@example.com
  line 13, user 20: the id belongs to the user bob of this service
  line 14, user 11: emailVerified must be true or false; password must be a hash or null; roles must be a list of roles; created must be a time such as 2026-01-31T12:00:00Z; disabled must be true or false
  line 15: it must be an object
  line 16: it must be an object
  line 17: it is not JSON
`

test('every conflict is listed at once, from a file as from a pipe, and none is written', async t => {
  const { cwd, url, run, load } = await createTarget(t)
  await sql(url, `INSERT INTO users (id, username, email) OVERRIDING SYSTEM VALUE
    VALUES (20, 'bob', 'bob@example.com')`)
  const file = join(cwd, 'users.ndjson')
  await writeFile(file, CONFLICTS)
  const lines = (imported: string, conflicts: string) =>
    `Users read: 17\n${imported}: 1\nAlready there: 0\nConflicts: ${conflicts}${FAULTS}`
  const dry = {
    code: 1, stdout: `Dry run: nothing was written. Add --apply to write.\n${lines('To import', '16')}`, stderr: ''
  }
  t.strictSame(await load(file), dry)
  t.strictSame(await run('import', ['--from', '-'], CONFLICTS), dry)
  t.equal(await countUsers(url), 1)
  t.match(await load(file, '--apply'), { code: 1, stdout: lines('Imported', '16, not written') })
  t.strictSame(await sql(url, 'SELECT id::int, username FROM users ORDER BY id'), [{ id: 1, username: 'ann' }, { id: 20, username: 'bob' }])
})

test('the first 1,000 conflicts are listed, and the others counted', async t => {
  const { run } = await createTarget(t)
  const { code, stdout } = await run('import', ['--from', '-'], '{}\n'.repeat(1002))
  t.equal(code, 1)
  t.match(stdout, /\nConflicts: 1,002\n {2}line 1: [^]*\n {2}line 1000: [^\n]*\n {2}and 2 more\n$/)
})

test('a user without a password, with a time, several roles or none, disabled', async t => {
  const { url, run } = await createTarget(t)
  t.match(await run('import', ['--from', '-', '--apply'], [
    row({ id: 5, password: null, created: '2024-02-29T23:59:59.5Z', roles: ['admin', 'user', 'admin'], disabled: true }),
    row({ id: 2, username: 'bob', email: 'bob@example.com', roles: [], emailVerified: true })
  ].join('\n')), { code: 0, stdout: counts('Imported: 2', 2) })
  const [bob, ann] = await stateOf(url)
  t.match(bob, { id: 2, hash: CLASSIC_HASH, roles: [], disabled: false, verified: true })
  t.ok(Date.now() - Date.parse(String(bob?.['created_at'])) < 60_000, 'created now')
  t.strictSame(ann, {
    id: 5,
    username: 'ann',
    email: 'ann@example.com',
    created_at: '2024-02-29 23:59:59.5+00',
    disabled: true,
    verified: false,
    hash: null,
    version: null,
    roles: [1, 3],
    audit: ['user_created{"roles": ["admin", "user"], "imported": true}']
  })
})

test('--wrap hashes bcrypt hashes with argon2id at once', async t => {
  const { url, load } = await createTarget(t)
  const source = await createClassicDatabase(t, 122)
  await sql(source, `UPDATE users SET password = CASE id
    WHEN 122 THEN '$pbkdf2-sha256$1000$b43ROqfU.l8rRei9d46xdg$.nUOVbw/bDajkuWx.H0CvNTkxW55Rl5/1P9x4l6hxRU' END
    WHERE id > 120`)
  t.match(await load(source, '--apply', '--wrap'), { code: 0, stdout: counts('Imported: 122', 122) })
  t.strictSame(await sql(url, `SELECT count(*)::int, count(DISTINCT data)::int AS "distinct" FROM credentials
    WHERE data ->> 'hash' ~ '^\\$argon2id-bcrypt\\$2a\\$04\\$.{22}\\$v=19\\$m=1024,t=1,p=1\\$.{22}\\$.{43}$'`), [{ count: 120, distinct: 120 }])
  const { post } = await startApp(t, { DATABASE_URL: url })
  for (const [index, [password]] of CLASSIC_PASSWORDS.entries()) {
    const signIn = async (given: string) =>
      (await post('/api/auth/signin', { username: `user${index + 1}`, password: given })).status
    t.strictSame([await signIn('wrong horse'), await signIn(password), await signIn(password)], [401, 200, 200])
  }
  t.strictSame(await sql(url, 'SELECT FROM credentials WHERE data ->> \'hash\' LIKE \'$argon2id$%\''), [{}, {}, {}, {}])
})

test('what export writes, import reads into another database', async t => {
  const first = await createTarget(t)
  await first.load(await createClassicDatabase(t, 1100), '--apply')
  await sql(first.url, `UPDATE users SET disabled_at = now(), email_verified_at = now() WHERE id = 3;
    DELETE FROM credentials WHERE user_id = 4; DELETE FROM user_roles WHERE user_id = 5`)
  const state = await stateOf(first.url)

  const printed = await first.run('export', [])
  t.match(printed, { code: 0, stderr: 'Users exported: 1,100\n' })
  t.equal(printed.stdout.split('\n')[2], JSON.stringify({
    id: 3,
    username: 'user3',
    email: 'User3@example.com',
    emailVerified: true,
    password: CLASSIC_PASSWORDS[2]?.[1],
    roles: ['user'],
    created: '2020-01-01T12:03:00.123456Z',
    disabled: true
  }))
  const second = await createTarget(t)
  t.match(await second.run('import', ['--from', '-', '--apply'], printed.stdout), { code: 0, stdout: counts('Imported: 1,100', 1100) })
  const withoutAudit = (rows: object[]) => rows.map(each => ({ ...each, audit: undefined }))
  t.strictSame(withoutAudit(await stateOf(second.url)), withoutAudit(state))

  await t.test('to a file, which only the owner can read', async t => {
    const file = join(first.cwd, 'users.ndjson')
    const written = { code: 0, stdout: '', stderr: 'Users exported: 1,100\n' }
    t.strictSame(await first.run('export', ['--to', file]), written)
    t.equal(await readFile(file, 'utf8'), printed.stdout)
    t.equal((await stat(file)).mode & 0o777, 0o600)
    t.match(await first.run('export', ['--to', file]), { code: 1, stdout: '', stderr: /^EEXIST: file already exists/ })
  })
})

test('other spellings of the columns, and tables in a schema', async t => {
  const { url, load } = await createTarget(t)
  const source = await createDatabase(t, 'template0')
  await sql(source, `CREATE SCHEMA "Old";
    CREATE TABLE "Old".users (id bigint, username text, email text, password_hash text);
    CREATE TABLE "Old".roles (id int, name text);
    CREATE TABLE "Old".user_roles (user_id bigint, role_id int);
    INSERT INTO "Old".users VALUES (7, 'ann', 'ann@example.com', NULL);
    INSERT INTO "Old".roles VALUES (9, 'moderator');
    INSERT INTO "Old".user_roles VALUES (7, 9)`)
  const missing = 'The database to import from has no table users with a column id. If the tables are in another schema, ' +
    'name it with --schema.\n'
  t.strictSame(await load(source), { code: 1, stdout: '', stderr: missing })
  t.match(await load(source, '--schema', 'Old', '--apply'), { code: 0, stdout: counts('Imported: 1', 1) })
  t.match(await stateOf(url), [{ id: 7, username: 'ann', hash: null, roles: [2] }])
  await sql(source, 'ALTER TABLE "Old".users ALTER id TYPE text USING \'x\'')
  await sql(source, 'ALTER TABLE "Old".user_roles ALTER user_id TYPE text')
  t.match(await load(source, '--schema', 'Old'),
    { code: 1, stdout: /\n {2}table users, user "x": id must be a whole number from 1 to 2\^52\n$/ })
})

test('what cannot be read', async t => {
  const { cwd, load, run } = await createTarget(t)
  t.match(await run('import', []), { code: 1, stdout: '', stderr: /^Usage: .* import --from SOURCE/ })
  for (const command of ['import', 'export']) {
    t.match(await run(command, ['--help']), { code: 0, stdout: new RegExp(`^Usage: .* ${command} `), stderr: '' })
  }
  t.strictSame(await load('mysql://localhost/old'), {
    code: 1,
    stdout: '',
    stderr: 'Only PostgreSQL is read directly. Write the users of other databases as NDJSON: docs/migration.md.\n'
  })
  const file = join(cwd, 'none.ndjson')
  t.match(await load(file), { code: 1, stdout: '', stderr: `ENOENT: no such file or directory, open '${file}'\n` })
  t.strictSame(await load(file, '--schema', 'old'), { code: 1, stdout: '', stderr: '--schema is for the URL of a database.\n' })
  t.match(await load('postgres://127.0.0.1:1/old'), { code: 1, stdout: '', stderr: /ECONNREFUSED/ })
})
