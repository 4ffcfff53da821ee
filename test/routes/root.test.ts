import { test } from 'tap'
import { shareApp } from '../support/shared-app.ts'

test('GET / returns a greeting', async t => {
  const { get } = await shareApp(t)
  const response = await get('/')
  t.equal(response.status, 200)
  t.strictSame(response.body, { message: 'Welcome to gatehouse.' })
  t.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/)
})

test('every response has the id of its own request', async t => {
  const { get } = await shareApp(t)
  const [first, second] = [await get('/'), await get('/no-such-page')]
  t.not(first.headers['x-request-id'], second.headers['x-request-id'])
  t.equal(second.status, 404)
  t.strictSame(second.body, { message: 'Route not found.', code: 'ROUTE_NOT_FOUND' })
})
