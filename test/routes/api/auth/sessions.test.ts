import { test } from 'tap'
import { shareApp } from '../../../support/shared-app.ts'

const missing = { message: 'Session Not found.', code: 'SESSION_NOT_FOUND' }
const UNKNOWN = '0190a0a0-0000-7000-8000-000000000000'

test('a user sees their own live sessions, newest first, with the current one marked', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await service.signUp('bob')
  await service.signIn('bob')
  await service.post('/api/auth/signin', { username: 'alice', password: 'correct horse' }, { 'user-agent': 'phone' })
  const { accessToken } = await service.signIn('alice')
  await service.sql(`INSERT INTO refresh_tokens (user_id, id, created_at, expires_at, ip)
    VALUES (1, $1, now() - interval '2 h', now() - interval '1 h', '')`, [UNKNOWN])
  const response = await service.as(accessToken, 'GET', '/api/auth/sessions')
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const rows = await service.sql<{ id: string, created: Date, used: Date, expires: Date }>(
    `SELECT id, created_at AS created, last_used_at AS used, expires_at AS expires FROM refresh_tokens
      WHERE user_id = 1 AND expires_at > now() ORDER BY id DESC`)
  t.strictSame(response.body, {
    sessions: rows.map(({ id, created, used, expires }, index) => ({
      id,
      created: created.toISOString(),
      lastUsed: used.toISOString(),
      expires: expires.toISOString(),
      ip: '127.0.0.1',
      userAgent: index === 0 ? 'lightMyRequest' : 'phone',
      current: index === 0
    }))
  })
})

test('a user ends a session by its id, in any case, including the current one', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const [here, there] = [await service.signIn('alice'), await service.signIn('alice')]
  const idOf = (token: string) => service.app.accessTokens.verify(token).sid
  const response = await service.as(here.accessToken, 'DELETE', `/api/auth/sessions/${idOf(there.accessToken).toUpperCase()}`)
  t.strictSame([response.status, response.body], [200, { message: 'The session was ended.' }])
  t.equal((await service.as(there.accessToken, 'GET', '/api/test/user')).status, 401)
  t.equal((await service.as(here.accessToken, 'DELETE', `/api/auth/sessions/${idOf(here.accessToken)}`)).status, 200)
  t.equal((await service.as(here.accessToken, 'GET', '/api/test/user')).status, 401)
})

test('the session of another user, and one that does not exist, are not found', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await service.signUp('bob', ['admin'])
  const [alice, bob] = [await service.signIn('alice'), await service.signIn('bob')]
  for (const id of [service.app.accessTokens.verify(alice.accessToken).sid, UNKNOWN]) {
    const response = await service.as(bob.accessToken, 'DELETE', `/api/auth/sessions/${id}`)
    t.strictSame([response.status, response.body], [404, missing])
  }
  t.equal((await service.as(alice.accessToken, 'GET', '/api/test/user')).status, 200)
  const response = await service.as(bob.accessToken, 'DELETE', '/api/auth/sessions/1')
  t.strictSame([response.status, response.body], [400, { message: 'id must be the id of a session', code: 'VALIDATION_FAILED' }])
})
