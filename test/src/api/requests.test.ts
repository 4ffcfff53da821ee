import type { FastifyRequest, RouteOptions } from 'fastify'
import { test } from 'tap'
import { clientAddress } from '../../../src/api/client-address.ts'
import { nextCursor } from '../../../src/api/pages.ts'
import { presentedToken } from '../../../src/api/refresh-token-body.ts'
import { toRoles } from '../../../src/api/roles.ts'
import { prependHook } from '../../../src/api/route-hooks.ts'

test('the client\'s address is the forwarded one only if that is an address', async t => {
  const from = (ip: string) => ({ ip, socket: { remoteAddress: '192.0.2.1' } }) as FastifyRequest
  for (const ip of ['203.0.113.7', '2001:db8::1']) t.equal(clientAddress(from(ip)), ip)
  for (const ip of ['unknown', '', '203.0.113.7:80', '203.0.113.7, 10.0.0.1']) t.equal(clientAddress(from(ip)), '192.0.2.1', ip)
})

test('only a full page has a next one', async t => {
  t.equal(nextCursor([{ id: 4 }, { id: 7 }], 2), 7)
  t.equal(nextCursor([{ id: 4 }], 2), null)
  t.equal(nextCursor([], 2), null)
})

test('a refresh token that is absent or null is missing', async t => {
  t.equal(presentedToken({ refreshToken: '' }), '')
  for (const body of [null, {}, { refreshToken: null }]) {
    t.throws(() => presentedToken(body), { code: 'REFRESH_TOKEN_MISSING' })
  }
})

test('roles have no duplicates and their own order', async t => {
  t.strictSame(toRoles(['admin', 'user', 'admin']), ['user', 'admin'])
  t.strictSame(toRoles([]), [])
  t.throws(() => toRoles(['user', 'root']), { code: 'ROLE_UNKNOWN', message: 'Failed! Role does not exist = root' })
})

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
