import type { RouteOptions } from 'fastify'
import { test } from 'tap'
import { prependHook } from '../../../src/api/route-hooks.ts'

test('a prepended hook comes before those that the route declares', async t => {
  const [ours, first, second] = [async () => {}, async () => {}, async () => {}]
  const cases = [[undefined, [ours]], [first, [ours, first]], [[first, second], [ours, first, second]]] as const
  for (const [declared, expected] of cases) {
    const route: RouteOptions = { method: 'GET', url: '/', handler: async () => {} }
    if (declared) Object.assign(route, { onRequest: declared })
    prependHook(route, 'onRequest', ours)
    t.strictSame(route.onRequest, expected)
  }
})
