import { test } from 'tap'
import { createDatabase, PASSWORD, type SignedIn, startApp, type TestApp } from '../support/app.ts'

const ROUNDS = 50

/** Ends a session while it is being refreshed. */
type Ending = (service: TestApp, other: SignedIn, victim: SignedIn) => Promise<{ statusCode: number }>

const ENDINGS: Record<string, Ending> = {
  'sign-out': async ({ app }, _other, { refreshToken }) =>
    await app.inject({ method: 'POST', url: '/api/auth/signout', payload: { refreshToken } }),
  'password change': async ({ app }, { accessToken }) => await app.inject({
    method: 'PUT',
    url: '/api/users/me/password',
    headers: { 'x-access-token': accessToken },
    payload: { currentPassword: PASSWORD, newPassword: 'battery staple' }
  }),
  'deletion of the user': async ({ app }, { accessToken }) => await app.inject({
    method: 'DELETE', url: '/api/users/me', headers: { 'x-access-token': accessToken }, payload: { password: PASSWORD }
  })
}

for (const [title, end] of Object.entries(ENDINGS)) {
  test(`after refreshes during a ${title} no token of the session works, ${ROUNDS} rounds on two instances`, async t => {
    const url = await createDatabase(t)
    const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
    const refresh = async (service: TestApp, refreshToken: string) => await service.post('/api/auth/refreshtoken', { refreshToken })
    let raced = 0
    for (let round = 0; round < ROUNDS; round++) {
      const name = `user${round}`
      await here.signUp(name)
      const [other, victim] = [await here.signIn(name), await here.signIn(name)]
      const refreshing = [here, there, here, there].map(async service => await refresh(service, victim.refreshToken))
      const [ended, ...responses] = await Promise.all([end(here, other, victim), ...refreshing])
      t.equal(ended.statusCode, 200)
      const issued = responses.filter(({ status }) => status === 200).map(({ body }) => body as unknown as SignedIn)
      if (issued.length > 0) raced++
      for (const { accessToken, refreshToken } of [victim, ...issued]) {
        const { sid, id } = here.app.accessTokens.verify(accessToken)
        const rows = await here.sql('SELECT FROM refresh_tokens WHERE user_id = $1 AND id = $2', [id, sid])
        if (rows.length > 0) t.fail('the session still exists')
        for (const service of [here, there]) {
          const { status } = await refresh(service, refreshToken)
          if (status !== 403) t.fail(`a refresh token of it was answered by ${status}`)
        }
        const { status } = await here.get('/api/test/user', { 'x-access-token': accessToken })
        if (status !== 401) t.fail(`an access token of it was answered by ${status}`)
      }
    }
    t.ok(raced > 0, `in ${raced} rounds a refresh came first`)
  })
}

test('a sign-in during a password change leaves no session of the old password', async t => {
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
      if (status === 200) {
        const { refreshToken } = body as unknown as SignedIn
        const refreshed = await there.post('/api/auth/refreshtoken', { refreshToken })
        if (refreshed.status !== 403) t.fail('a session of the old password is alive')
      } else if (status !== 401) t.fail(`a sign-in was answered by ${status}`)
    }
    t.strictSame((await here.sql('SELECT id FROM refresh_tokens WHERE user_id = $1', [owner.id])).length, 1)
  }
})

/** Ends a session, by its own tokens or by the access token of an admin. */
type Revocation = (service: TestApp, admin: SignedIn, victim: SignedIn) => Promise<{ status: number }>

const REVOCATIONS: Record<string, Revocation> = {
  'sign-out': async (service, _admin, { refreshToken }) => await service.post('/api/auth/signout', { refreshToken }),
  'password change': async (service, _admin, { accessToken }) => await service.as(accessToken, 'PUT',
    '/api/users/me/password', { currentPassword: PASSWORD, newPassword: 'battery staple' }),
  disabling: async (service, { accessToken }, { id }) =>
    await service.as(accessToken, 'PUT', `/api/users/${id}/disabled`, { disabled: true })
}

for (const [title, revoke] of Object.entries(REVOCATIONS)) {
  test(`after reauthentications during a ${title} no session is alive, ${ROUNDS} rounds on two instances`, async t => {
    const url = await createDatabase(t)
    const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
    await here.signUp('root', ['admin'])
    const root = await here.signIn('root')
    let renewed = 0
    for (let round = 0; round < ROUNDS; round++) {
      const name = `user${round}`
      await here.signUp(name)
      const victim = await here.signIn(name)
      const renewing = [here, there, here, there].map(async service =>
        await service.as(victim.accessToken, 'POST', '/api/auth/reauthenticate', { password: PASSWORD }))
      const [revoked, ...responses] = await Promise.all([revoke(here, root, victim), ...renewing])
      t.equal(revoked.status, 200)
      const other = responses.find(({ status }) => status !== 200 && status !== 401)
      if (other) t.fail(`a renewal was answered by ${other.status}`)
      const issued = responses.filter(({ status }) => status === 200).map(response => response.json<SignedIn>())
      if (issued.length > 0) renewed++
      const { sid } = here.app.accessTokens.verify(victim.accessToken)
      const left = await here.sql('SELECT FROM refresh_tokens WHERE id = $1', [sid])
      if (left.length > 0) t.fail('the session still exists')
      for (const { accessToken } of [victim, ...issued]) {
        const { status } = await here.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
        if (status !== 401) t.fail(`an access token of it was answered by ${status}`)
      }
    }
    t.comment(`in ${renewed} of ${ROUNDS} rounds a renewal came first`)
  })
}

test('an admin who is demoted on another instance changes nothing afterwards', async t => {
  const url = await createDatabase(t)
  const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
  await here.signUp('ada', ['admin'])
  const ada = await here.signIn('ada')
  let wasFirst = 0
  for (let round = 0; round < ROUNDS; round++) {
    await here.signUp(`user${round}`)
    await here.signUp(`admin${round}`, ['admin'])
    const [user, admin] = [await here.signIn(`user${round}`), await here.signIn(`admin${round}`)]
    const [changed, demoted] = await Promise.all([
      here.as(admin.accessToken, 'PUT', `/api/users/${user.id}/roles`, { roles: ['moderator'] }),
      there.as(ada.accessToken, 'PUT', `/api/users/${admin.id}/roles`, { roles: ['user'] })
    ])
    t.equal(demoted.status, 200)
    const events = await here.sql<{ actor: string }>(`SELECT actor_id AS actor FROM audit_events
      WHERE event = 'privilege_permissions_changed' AND user_id IN ($1, $2) ORDER BY id`, [user.id, admin.id])
    const actors = events.map(({ actor }) => Number(actor))
    if (changed.status === 200) {
      wasFirst++
      t.strictSame(actors, [admin.id, ada.id])
    } else {
      t.strictSame([changed.status, actors], [403, [ada.id]])
    }
  }
  t.comment(`in ${wasFirst} of ${ROUNDS} rounds the change came before the demotion`)
})
