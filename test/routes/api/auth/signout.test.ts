import { test } from 'tap'
import { RefreshTokenCodec } from '../../../../src/tokens/refresh-token.ts'
import { SECRET, type TestApp, type Tokens } from '../../../support/app.ts'
import { shareApp } from '../../../support/shared-app.ts'

const done = { message: 'You have been signed out.' }
const unknown = { message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN' }
const required = { message: 'Refresh Token is required!', code: 'REFRESH_TOKEN_MISSING' }

const statusOf = async (service: TestApp, token: string) => (await service.as(token, 'GET', '/api/test/user')).status
const refresh = async (service: TestApp, refreshToken: string) =>
  await service.post('/api/auth/refreshtoken', { refreshToken })
const signOut = async (service: TestApp, refreshToken: unknown) => await service.post('/api/auth/signout', { refreshToken })

test('a sign-out ends the session, with its refresh tokens and its access tokens, at once', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const first = await service.signIn('alice')
  const second = (await refresh(service, first.refreshToken)).json<Tokens>()
  const other = await service.signIn('alice')
  const response = await signOut(service, second.refreshToken)
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(response.body, done)
  for (const token of [first.accessToken, second.accessToken]) t.equal(await statusOf(service, token), 401)
  for (const token of [first.refreshToken, second.refreshToken]) {
    t.strictSame((await refresh(service, token)).body, unknown)
  }
  t.equal(await statusOf(service, other.accessToken), 200, 'another session continues')
})

test('a sign-out may be repeated', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { refreshToken } = await service.signIn('alice')
  for (let i = 0; i < 2; i++) {
    const response = await signOut(service, refreshToken)
    t.strictSame([response.status, response.body], [200, done])
  }
})

test('any token of the session signs it out, including a superseded one', async t => {
  const service = await shareApp(t, { REFRESH_GRACE: 0 })
  await service.signUp('alice')
  const first = await service.signIn('alice')
  const second = (await refresh(service, first.refreshToken)).json<Tokens>()
  const third = (await refresh(service, second.refreshToken)).json<Tokens>()
  t.equal((await signOut(service, first.refreshToken)).status, 200)
  t.equal(await statusOf(service, third.accessToken), 401)
})

test('a sign-out without a token, or with one that is not genuine, is rejected', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { accessToken, refreshToken } = await service.signIn('alice')
  const codec = new RefreshTokenCodec(`not ${SECRET}`)
  const forged = codec.encode({ userId: 1, sessionId: service.app.accessTokens.verify(accessToken).sid, generation: 0 })
  for (const [token, body] of [
    [undefined, required], [null, required], ['', unknown], ['x', unknown], [forged, unknown], [`${refreshToken}x`, unknown]
  ]) {
    const response = await signOut(service, token)
    t.strictSame([response.status, response.body], [403, body])
  }
  t.equal(await statusOf(service, accessToken), 200)
})

test('signing out everywhere ends every session of the user, and no others', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await service.signUp('bob')
  const [here, there, bob] = [await service.signIn('alice'), await service.signIn('alice'), await service.signIn('bob')]
  const response = await service.as(here.accessToken, 'POST', '/api/auth/signout/all')
  t.equal(response.status, 200)
  t.strictSame(response.body, { message: 'You have been signed out everywhere.' })
  const statuses = []
  for (const { accessToken } of [here, there, bob]) statuses.push(await statusOf(service, accessToken))
  t.strictSame(statuses, [401, 401, 200])
  t.match(service.logs.filter(line => line['event'] === 'authn_token_revoked'), [{ level: 30, userId: 1, sessions: 2, ip: '127.0.0.1' }])
})
