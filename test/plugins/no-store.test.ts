import { test } from 'tap'
import { shareApp } from '../support/shared-app.ts'

test('a response that may contain a token or personal data must not be cached, even if it is an error', async t => {
  const { get, post } = await shareApp(t)
  for (const path of ['/api/test/user', '/api/users/me', '/api/users/1']) {
    t.equal((await get(path)).headers['cache-control'], 'no-store', path)
  }
  for (const path of ['signup', 'signin', 'refreshtoken']) {
    t.equal((await post(`/api/auth/${path}`, '{ broken')).headers['cache-control'], 'no-store', path)
  }
})

test('public GET routes may be cached', async t => {
  const { get } = await shareApp(t)
  for (const path of ['/', '/api/test/all']) t.equal((await get(path)).headers['cache-control'], undefined, path)
})
