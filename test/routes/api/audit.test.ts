import { type Test, test } from 'tap'
import { PASSWORD, signUpBody } from '../../support/app.ts'
import { shareApp } from '../../support/shared-app.ts'

const NEW = 'battery staple'

/** Performs every action that changes a user, once: by ada (1), on alice (2) and bob (3). */
async function history (t: Test) {
  const service = await shareApp(t)
  await service.signUp('ada', ['user', 'admin'])
  const ada = await service.signIn('ada')
  for (const name of ['alice', 'bob']) await service.post('/api/auth/signup', signUpBody(name))
  const alice = await service.signIn('alice')
  await service.as(ada.accessToken, 'PUT', '/api/users/2/roles', { roles: ['user', 'moderator'] })
  await service.as(alice.accessToken, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW })
  await service.as(ada.accessToken, 'DELETE', '/api/users/2/sessions')
  await service.as(ada.accessToken, 'PUT', '/api/users/3/disabled', { disabled: true })
  await service.as(ada.accessToken, 'DELETE', '/api/users/3')
  await service.post('/api/auth/signup', { ...signUpBody('carl'), roles: ['moderator'] }, { 'x-access-token': ada.accessToken })
  const get = async (query = '') => await service.as(ada.accessToken, 'GET', `/api/audit${query}`)
  return { service, ada, alice, get, page: async (query = '') => (await get(query)).json<Page>() }
}

const TRAIL = [
  { id: 9, event: 'user_created', userId: 4, actorId: 1, detail: { roles: ['moderator'] } },
  { id: 8, event: 'user_deleted', userId: 3, actorId: 1, detail: { roles: ['user'] } },
  { id: 7, event: 'user_updated', userId: 3, actorId: 1, detail: { disabled: true } },
  { id: 6, event: 'authn_token_revoked', userId: 2, actorId: 1, detail: {} },
  { id: 5, event: 'authn_password_change', userId: 2, actorId: 2, detail: {} },
  { id: 4, event: 'privilege_permissions_changed', userId: 2, actorId: 1, detail: { from: ['user'], to: ['user', 'moderator'] } },
  { id: 3, event: 'user_created', userId: 3, actorId: null, detail: { roles: ['user'] } },
  { id: 2, event: 'user_created', userId: 2, actorId: null, detail: { roles: ['user'] } },
  { id: 1, event: 'user_created', userId: 1, actorId: null, detail: { roles: ['user', 'admin'] } }
].map(event => ({ ...event, ip: '127.0.0.1' }))

interface Page {
  events: Array<{ id: number, created: string }>
  next: number | null
}

const withoutTimes = ({ events }: Page) => events.map(({ created, ...event }) => {
  if (new Date(created).toISOString() !== created) throw new Error(`created is ${created}`)
  return event
})

test('every change of a user is one event, newest first', async t => {
  const { get } = await history(t)
  const response = await get()
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(withoutTimes(response.json<Page>()), TRAIL)
  t.equal(response.json<Page>().next, null)
})

test('events are paged, and filtered by user and by event', async t => {
  const { get, page } = await history(t)
  const ids = async (query: string) => {
    const { events, next } = await page(query)
    return [events.map(event => event.id), next]
  }
  t.strictSame(await ids('?limit=4'), [[9, 8, 7, 6], 6])
  t.strictSame(await ids('?limit=4&after=6'), [[5, 4, 3, 2], 2])
  t.strictSame(await ids('?limit=4&after=2'), [[1], null])
  t.strictSame(await ids('?user=2'), [[6, 5, 4, 2], null])
  t.strictSame(await ids('?event=user_created&limit=2'), [[9, 3], 3])
  t.strictSame(await ids('?event=user_created&user=3'), [[3], null])
  const response = await get('?event=Nothing')
  t.strictSame([response.status, response.body], [400, { message: 'event must be the name of an event', code: 'VALIDATION_FAILED' }])
})

test('a rejected action leaves no event', async t => {
  const { service, ada, page } = await history(t)
  await service.as(ada.accessToken, 'PUT', '/api/users/1/roles', { roles: [] })
  await service.as(ada.accessToken, 'DELETE', '/api/users/99')
  await service.post('/api/auth/signup', signUpBody('alice'))
  t.strictSame(withoutTimes(await page()), TRAIL)
})

test('the database rejects changes of events', async t => {
  const { service, page } = await history(t)
  for (const text of ['UPDATE audit_events SET event = \'nothing\'', 'DELETE FROM audit_events', 'TRUNCATE audit_events']) {
    await t.rejects(service.sql(text), { message: 'audit_events is append-only' })
  }
  t.strictSame(withoutTimes(await page()), TRAIL)
})

test('neither the events nor the log contain a password, a hash, a token or an e-mail address', async t => {
  const { service, ada, alice } = await history(t)
  const stored = JSON.stringify(service.logs) + JSON.stringify(await service.sql('SELECT * FROM audit_events'))
  for (const secret of [
    PASSWORD, NEW, 'argon2id', ada.accessToken, ada.refreshToken, alice.accessToken, alice.refreshToken, '@example.com'
  ]) t.notOk(stored.includes(secret), secret.slice(0, 12))
})

test('every change is also a security event in the log, with the user who made it', async t => {
  const { service } = await history(t)
  const events = service.logs.filter(line => line['event'] === 'privilege_permissions_changed')
  t.match(events, [{ level: 40, userId: 2, actorId: 1, from: ['user'], to: ['user', 'moderator'], ip: '127.0.0.1' }])
  t.equal(events.length, 1)
})
