import { test } from 'tap'
import { createDatabase, PASSWORD, type SignedIn, startApp, type TestApp } from '../support/app.ts'

const ROUNDS = 50

/** What ends a session, while it is being refreshed. */
const ENDINGS: Record<string, (service: TestApp, other: SignedIn, victim: SignedIn) => Promise<{ statusCode: number }>> = {
  'sign-out': async ({ app }, _other, { refreshToken }) =>
    await app.inject({ method: 'POST', url: '/api/auth/signout', payload: { refreshToken } }),
  'password change': async ({ app }, { accessToken }) => await app.inject({
    method: 'PUT',
    url: '/api/users/me/password',
    headers: { 'x-access-token': accessToken },
    payload: { currentPassword: PASSWORD, newPassword: 'battery staple' }
  }),
  'account deletion': async ({ app }, { accessToken }) => await app.inject({
    method: 'DELETE', url: '/api/users/me', headers: { 'x-access-token': accessToken }, payload: { password: PASSWORD }
  })
}

for (const [title, end] of Object.entries(ENDINGS)) {
  test(`after refreshes beside a ${title} no token of the session works, ${ROUNDS} rounds on two instances`, async t => {
    const url = await createDatabase(t)
    const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
    const refresh = async (service: TestApp, refreshToken: string) => await service.post('/api/auth/refreshtoken', { refreshToken })
    let raced = 0
    for (let round = 0; round < ROUNDS; round++) {
      const name = `user${round}`
      await here.signUp(name)
      const [other, victim] = [await here.signIn(name), await here.signIn(name)]
      const refreshing = [here, there, here, there].map(async service => await refresh(service, victim.refreshToken))
      const [ended, ...replies] = await Promise.all([end(here, other, victim), ...refreshing])
      t.equal(ended.statusCode, 200)
      const issued = replies.filter(({ status }) => status === 200).map(({ body }) => Object(body))
      if (issued.length > 0) raced++
      for (const { accessToken, refreshToken } of [victim, ...issued]) {
        const { sid, id } = here.app.accessTokens.verify(accessToken)
        const rows = await here.sql('SELECT FROM refresh_tokens WHERE user_id = $1 AND id = $2', [id, sid])
        if (rows.length > 0) t.fail('the session is still there')
        for (const service of [here, there]) {
          const shown = await refresh(service, refreshToken)
          if (shown.status !== 403) t.fail(`a refresh token of it was answered ${shown.status}`)
        }
        const board = await here.get('/api/test/user', { 'x-access-token': accessToken })
        if (board.status !== 401) t.fail(`an access token of it was answered ${board.status}`)
      }
    }
    t.ok(raced > 0, `in ${raced} rounds a refresh came first`)
  })
}

test('a sign-in beside a password change leaves no session of the old password', async t => {
  const url = await createDatabase(t)
  const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
  for (let round = 0; round < 20; round++) {
    const name = `user${round}`
    await here.signUp(name)
    const owner = await here.signIn(name)
    const change = async () => await here.app.inject({
      method: 'PUT',
      url: '/api/users/me/password',
      headers: { 'x-access-token': owner.accessToken },
      payload: { currentPassword: PASSWORD, newPassword: 'battery staple' }
    })
    const [changed, ...signedIn] = await Promise.all([change(), ...Array.from({ length: 4 }, async () =>
      await there.post('/api/auth/signin', { username: name, password: PASSWORD }))])
    t.equal(changed.statusCode, 200)
    for (const { status, body } of signedIn) {
      if (status !== 200 && status !== 401) t.fail(`a sign-in was answered ${status}`)
      if (status === 200 && (await there.post('/api/auth/refreshtoken', { refreshToken: Object(body).refreshToken })).status !== 403) {
        t.fail('a session of the old password is alive')
      }
    }
    t.strictSame((await here.sql('SELECT id FROM refresh_tokens WHERE user_id = $1', [owner.id])).length, 1)
  }
})
