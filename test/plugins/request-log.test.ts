import { test } from 'tap'
import { startApp } from '../support/app.ts'

test('at level debug a request is logged in one line, with its route but without its URL and its token', async t => {
  const { get, logs } = await startApp(t, { LOG_LEVEL: 'debug' })
  await get('/api/users/1?secret=hush', { 'x-access-token': 'garbage' })
  const lines = logs.filter(line => line.msg === 'request completed')
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 20, method: 'GET', route: '/api/users/:id', status: 401, ip: '127.0.0.1', ms: Number })
  t.notMatch(JSON.stringify(logs), /garbage|hush/)
})

test('at level info requests are not logged', async t => {
  const { get, logs } = await startApp(t, { LOG_LEVEL: 'info' })
  await get('/')
  await get('/api/test/user')
  t.strictSame(logs, [])
})
