import { type Test, test } from 'tap'
import { createDatabase, sql, startApp, type TestApp } from '../support/app.ts'
import { blocksOf } from '../support/readme.ts'
import { readText } from '../support/source.ts'

const WARNING = 'The index users_search_idx is missing or invalid, so a search of users finds only whole usernames and ' +
  'e-mail addresses. Create it as docs/operations.md describes and restart, or set USER_SEARCH=exact.'

/** A service over a database that was changed before, and the names that its searches find. */
async function start (t: Test, change: string, overrides: Parameters<typeof startApp>[1] = {}) {
  const url = await createDatabase(t)
  await sql(url, change)
  const service = await startApp(t, { DATABASE_URL: url, ...overrides })
  await service.signUp('alice', ['user', 'admin'])
  await service.signUp('bob')
  const { accessToken } = await service.signIn('alice')
  const search = async (query: string) => (await service.as(accessToken, 'GET', `/api/users?search=${query}`))
    .json<{ users: Array<{ username: string }> }>().users.map(user => user.username)
  return { service, url, search }
}

const warnings = ({ logs }: TestApp) => logs.map(line => line.msg).filter(message => message === WARNING)

for (const [state, change] of [
  ['missing', 'DROP INDEX users_search_idx'],
  ['invalid', 'UPDATE pg_index SET indisvalid = false WHERE indexrelid = \'users_search_idx\'::regclass']
] as const) {
  test(`if the index is ${state}, the service warns at its start, and a search finds only whole names`, async t => {
    const { service, search } = await start(t, change)
    t.strictSame(warnings(service), [WARNING])
    t.strictSame(await search('ALICE'), ['alice'])
    t.strictSame(await search('Bob@example.com'), ['bob'])
    t.strictSame(await search('lic'), [])
    t.strictSame(await search('ali'), [])
    t.strictSame(await search('alice&role=admin'), ['alice'])
    t.strictSame(await search('bob&role=admin'), [])
    t.strictSame(await search('alice&after=1'), [])
  })
}

test('with USER_SEARCH=exact, a search finds only whole names, and nothing is logged', async t => {
  const { service, search } = await start(t, 'DROP INDEX users_search_idx', { USER_SEARCH: 'exact' })
  t.strictSame(warnings(service), [])
  t.strictSame([await search('bob'), await search('ob')], [['bob'], []])
})

test('the command in docs/operations.md creates the index of the migration, beside a running service', async t => {
  const definition = 'SELECT pg_get_indexdef(to_regclass(\'users_search_idx\')) AS index'
  const { service, url } = await start(t, 'DROP INDEX users_search_idx')
  const [command] = blocksOf(readText('docs/operations.md')).filter(({ text }) => text.includes('users_search_idx'))
  await service.sql(String(command?.text))
  t.strictSame(await service.sql(definition), await sql(await createDatabase(t), definition))
  const restarted = await startApp(t, { DATABASE_URL: url })
  t.strictSame(warnings(restarted), [])
})
