import { Socket } from 'node:net'
import { test } from 'tap'
import { clientAddress } from '../../../src/api/client-address.ts'

test('a client without an address is unknown', async t => {
  const disconnected = new Socket()
  for (const ip of ['203.0.113.7', '2001:db8::7']) t.equal(clientAddress({ ip, socket: disconnected }), ip)
  for (const ip of ['', 'unknown', '203.0.113.7:443', '_hidden']) {
    t.equal(clientAddress({ ip, socket: disconnected }), 'unknown', ip)
  }
})
