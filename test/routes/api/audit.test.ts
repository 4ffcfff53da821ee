import { type Test, test } from 'tap'
import { PASSWORD, signUpBody, startApp } from '../../support/app.ts'

const NEW = 'battery staple'

/** Every action that changes an account, done once: by ada (1), to alice (2) and bob (3). */
async function history (t: Test) {
  const service = await startApp(t)
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
  return { service, ada, alice, ask: async (query = '') => await service.as(ada.accessToken, 'GET', `/api/audit${query}`) }
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

const withoutTimes = (body: unknown) => Object(body).events.map(({ created, ...event }: { created: string }) => {
  if (new Date(created).toISOString() !== created) throw new Error(`created is ${created}`)
  return event
})

test('whatever changes an account is one row, the newest first', async t => {
  const { ask } = await history(t)
  const response = await ask()
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(withoutTimes(response.body), TRAIL)
  t.equal(Object(response.body).next, null)
})

test('pages, a user and an event filter', async t => {
  const { ask } = await history(t)
  const ids = async (query: string) => {
    const { events, next } = Object((await ask(query)).body)
    return [events.map((event: { id: number }) => event.id), next]
  }
  t.strictSame(await ids('?limit=4'), [[9, 8, 7, 6], 6])
  t.strictSame(await ids('?limit=4&after=6'), [[5, 4, 3, 2], 2])
  t.strictSame(await ids('?limit=4&after=2'), [[1], null])
  t.strictSame(await ids('?user=2'), [[6, 5, 4, 2], null])
  t.strictSame(await ids('?event=user_created&limit=2'), [[9, 3], 3])
  t.strictSame(await ids('?event=user_created&user=3'), [[3], null])
  const response = await ask('?event=Nothing')
  t.strictSame([response.status, response.body], [400, { message: 'event must be the name of an event', code: 'VALIDATION_FAILED' }])
})

test('what is refused leaves no row', async t => {
  const { service, ada, ask } = await history(t)
  await service.as(ada.accessToken, 'PUT', '/api/users/1/roles', { roles: [] })
  await service.as(ada.accessToken, 'DELETE', '/api/users/99')
  await service.post('/api/auth/signup', signUpBody('alice'))
  t.strictSame(withoutTimes((await ask()).body), TRAIL)
})

test('a row is never changed or deleted', async t => {
  const { service, ask } = await history(t)
  for (const text of ['UPDATE audit_events SET event = \'nothing\'', 'DELETE FROM audit_events', 'TRUNCATE audit_events']) {
    await t.rejects(service.sql(text), { message: 'audit_events is append only' })
  }
  t.strictSame(withoutTimes((await ask()).body), TRAIL)
})

test('neither the trail nor the log holds a password, a hash, a token or an address of mail', async t => {
  const { service, ada, alice } = await history(t)
  const kept = JSON.stringify(service.logs) + JSON.stringify(await service.sql('SELECT * FROM audit_events'))
  for (const secret of [
    PASSWORD, NEW, 'argon2id', ada.accessToken, ada.refreshToken, alice.accessToken, alice.refreshToken, '@example.com'
  ]) t.notOk(kept.includes(secret), secret.slice(0, 12))
})

test('every change is an event in the log as well, with who did it', async t => {
  const { service } = await history(t)
  const events = service.logs.filter(line => line['event'] === 'privilege_permissions_changed')
  t.match(events, [{ level: 40, userId: 2, actorId: 1, from: ['user'], to: ['user', 'moderator'], ip: '127.0.0.1' }])
  t.equal(events.length, 1)
})
