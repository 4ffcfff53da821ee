import { test } from 'tap'
import { SECRET, startApp, type TestApp } from '../../../support/app.ts'
import { RefreshTokenCodec } from '../../../../src/tokens/refresh-token.ts'

const done = { message: 'You have been signed out.' }
const unknown = { message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN' }
const required = { message: 'Refresh Token is required!', code: 'REFRESH_TOKEN_MISSING' }

const board = async (service: TestApp, token: string) => (await service.get('/api/test/user', { 'x-access-token': token })).status
const refresh = async (service: TestApp, refreshToken: string) => await service.post('/api/auth/refreshtoken', { refreshToken })
const signOut = async (service: TestApp, refreshToken: unknown) => await service.post('/api/auth/signout', { refreshToken })

test('a sign-out ends the session: its refresh token and its access tokens, at once', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const first = await service.signIn('alice')
  const second = Object((await refresh(service, first.refreshToken)).body)
  const other = await service.signIn('alice')
  const response = await signOut(service, second.refreshToken)
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(response.body, done)
  for (const token of [first.accessToken, second.accessToken]) t.equal(await board(service, token), 401)
  for (const token of [first.refreshToken, second.refreshToken]) t.strictSame((await refresh(service, token)).body, unknown)
  t.equal(await board(service, other.accessToken), 200, 'another session goes on')
})

test('a sign-out may be sent again', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { refreshToken } = await service.signIn('alice')
  for (let i = 0; i < 2; i++) {
    const response = await signOut(service, refreshToken)
    t.strictSame([response.status, response.body], [200, done])
  }
})

test('any token of the session signs it out, also one long superseded', async t => {
  const service = await startApp(t, { REFRESH_GRACE: 0 })
  await service.signUp('alice')
  const first = await service.signIn('alice')
  const second = Object((await refresh(service, first.refreshToken)).body)
  const third = Object((await refresh(service, second.refreshToken)).body)
  t.equal((await signOut(service, first.refreshToken)).status, 200)
  t.equal(await board(service, third.accessToken), 401)
})

test('a sign-out without a token, or with one that is not genuine, is refused', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken, refreshToken } = await service.signIn('alice')
  const codec = new RefreshTokenCodec(`not ${SECRET}`)
  const forged = codec.encode({ userId: 1, sessionId: service.app.accessTokens.verify(accessToken).sid, generation: 0 })
  for (const [token, body] of [[undefined, required], [null, required], ['', unknown], ['x', unknown], [forged, unknown], [`${refreshToken}x`, unknown]]) {
    const response = await signOut(service, token)
    t.strictSame([response.status, response.body], [403, body])
  }
  t.equal(await board(service, accessToken), 200)
})

test('signing out everywhere ends every session of the user, and nobody else\'s', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  await service.signUp('bob')
  const [here, there, bob] = [await service.signIn('alice'), await service.signIn('alice'), await service.signIn('bob')]
  const response = await service.as(here.accessToken, 'POST', '/api/auth/signout/all')
  t.equal(response.status, 200)
  t.strictSame(response.body, { message: 'You have been signed out everywhere.' })
  t.strictSame([await board(service, here.accessToken), await board(service, there.accessToken), await board(service, bob.accessToken)], [401, 401, 200])
  t.match(service.logs.filter(line => line['event'] === 'authn_token_revoked'), [{ level: 30, userId: 1, sessions: 2, ip: '127.0.0.1' }])
})
