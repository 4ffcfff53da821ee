import { test } from 'tap'
import { shareApp } from '../../../support/shared-app.ts'

const endpoints = [
  { path: '/api/test/user', text: 'User Content.', roles: ['user', 'moderator', 'admin'], denial: undefined },
  {
    path: '/api/test/mod',
    text: 'Moderator Content.',
    roles: ['moderator'],
    denial: { message: 'Require Moderator Role!', code: 'MODERATOR_REQUIRED' }
  },
  {
    path: '/api/test/admin',
    text: 'Admin Content.',
    roles: ['admin'],
    denial: { message: 'Require Admin Role!', code: 'ADMIN_REQUIRED' }
  }
]

test('the public test endpoint ignores access tokens', async t => {
  const { get } = await shareApp(t)
  for (const headers of [{}, { 'x-access-token': 'garbage' }, { authorization: 'Bearer garbage' }]) {
    const response = await get('/api/test/all', headers)
    t.equal(response.status, 200)
    t.equal(response.headers['content-type'], 'text/plain; charset=utf-8')
    t.equal(response.body, 'Public Content.')
  }
})

test('each test endpoint admits exactly the holders of its role', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  for (const role of ['user', 'moderator', 'admin']) {
    await signUp(role, [role])
    const { accessToken } = await signIn(role)
    for (const { path, text, roles, denial } of endpoints) {
      const response = await get(path, { 'x-access-token': accessToken })
      if (roles.includes(role)) {
        t.strictSame([response.status, response.body], [200, text], `${role} at ${path}`)
        t.equal(response.headers['content-type'], 'text/plain; charset=utf-8')
      } else {
        t.strictSame([response.status, response.body], [403, denial], `${role} at ${path}`)
      }
    }
  }
})

test('without a token, each other test endpoint lacks one', async t => {
  const { get } = await shareApp(t)
  for (const { path } of endpoints) {
    const response = await get(path)
    t.equal(response.status, 403)
    t.equal(response.headers['www-authenticate'], 'Bearer')
    t.strictSame(response.body, { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' })
  }
})
