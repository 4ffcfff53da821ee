import { test } from 'tap'
import { startApp } from './support/app.ts'

test('GET / welcomes', async t => {
  const { get } = await startApp(t)
  const reply = await get('/')
  t.equal(reply.status, 200)
  t.strictSame(reply.body, { message: 'Welcome to gatehouse.' })
})
