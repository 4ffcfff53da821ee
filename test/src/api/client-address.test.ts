import { Socket } from 'node:net'
import { test } from 'tap'
import { clientAddress } from '../../../src/api/client-address.ts'

test('the client\'s address is the forwarded one only if that is an address', async t => {
  const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: '192.0.2.1' })
  for (const ip of ['203.0.113.7', '2001:db8::1']) t.equal(clientAddress({ ip, socket }), ip)
  for (const ip of ['unknown', '', '203.0.113.7:80', '203.0.113.7, 10.0.0.1']) {
    t.equal(clientAddress({ ip, socket }), '192.0.2.1', ip)
  }
})

test('a client without an address is unknown', async t => {
  const disconnected = new Socket()
  for (const ip of ['203.0.113.7', '2001:db8::7']) t.equal(clientAddress({ ip, socket: disconnected }), ip)
  for (const ip of ['', 'unknown', '203.0.113.7:443', '_hidden']) {
    t.equal(clientAddress({ ip, socket: disconnected }), 'unknown', ip)
  }
})
