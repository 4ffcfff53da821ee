import { test } from 'tap'
import { PASSWORD } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'

test('every POST of the contract accepts a form', async t => {
  const { app, sql } = await shareApp(t, { SIGNUP_ROLES: ['user', 'moderator', 'admin'] })
  const send = async (path: string, sent: Array<[string, string]>) => await app.inject({
    method: 'POST',
    url: `/api/auth/${path}`,
    headers: { 'content-type': 'Application/X-WWW-form-urlencoded; charset=utf-8' },
    payload: new URLSearchParams(sent).toString()
  })
  const fields: Array<[string, string]> = [['username', 'alice'], ['email', 'alice@example.com'], ['password', PASSWORD]]
  t.equal((await send('signup', [...fields, ['roles', 'moderator'], ['roles', 'admin']])).statusCode, 200)
  t.strictSame(await sql('SELECT role_id FROM user_roles ORDER BY role_id'), [{ role_id: 2 }, { role_id: 3 }])
  const signedIn = await send('signin', fields.filter(([name]) => name !== 'email'))
  t.equal(signedIn.statusCode, 200)
  const { refreshToken } = signedIn.json<{ refreshToken: string }>()
  t.equal((await send('refreshtoken', [['refreshToken', refreshToken]])).statusCode, 200)
  t.strictSame((await send('refreshtoken', [])).json(), { message: 'Refresh Token is required!', code: 'REFRESH_TOKEN_MISSING' })
})

test('a text in JSON is not converted to a list', async t => {
  const { post } = await shareApp(t)
  const response = await post('/api/auth/signup', { username: 'alice', email: 'a@example.com', password: PASSWORD, roles: 'user' })
  t.equal(response.status, 400)
  t.strictSame(response.body, { message: 'roles must be a list of at most 16 role names', code: 'VALIDATION_FAILED' })
})

test('an empty JSON body counts as absent', async t => {
  const { post } = await shareApp(t)
  const response = await post('/api/auth/signin', '')
  t.equal(response.status, 400)
  t.strictSame(response.body, { message: 'the body must be object', code: 'VALIDATION_FAILED' })
})
