import { test } from 'tap'
import { shareApp } from '../../../support/shared-app.ts'

test('GET /api/users/:id returns a user to moderators and admins only', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  for (const role of ['user', 'moderator', 'admin']) await signUp(role, [role])
  const denied = await get('/api/users/1', { 'x-access-token': (await signIn('user')).accessToken })
  t.equal(denied.status, 403)
  t.strictSame(denied.body, { message: 'Require Moderator or Admin Role!', code: 'MODERATOR_OR_ADMIN_REQUIRED' })
  for (const name of ['moderator', 'admin']) {
    const response = await get('/api/users/1', { 'x-access-token': (await signIn(name)).accessToken })
    t.equal(response.status, 200)
    const { created, ...user } = response.json<{ created: string }>()
    t.equal(new Date(created).toISOString(), created)
    t.strictSame(user, { id: 1, username: 'user', email: 'user@example.com', roles: ['ROLE_USER'], disabled: false })
  }
})

test('GET /api/users/:id does not find a user who does not exist', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  await signUp('admin', ['admin'])
  const { accessToken } = await signIn('admin')
  for (const id of ['2', '9007199254740991']) {
    const response = await get(`/api/users/${id}`, { 'x-access-token': accessToken })
    t.equal(response.status, 404)
    t.strictSame(response.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
  }
})
