import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Changes one message of the server (PostgreSQL's protocol, type byte first), or drops it by returning nothing. */
type Change = (message: Buffer) => Buffer | undefined

/** Splits what the server sends into messages and changes each. */
function changeMessages (change: Change): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0)
  return chunk => {
    rest = Buffer.concat([rest, chunk])
    const changed: Buffer[] = []
    // The length, in bytes 1 to 4, does not count the type.
    while (rest.length > 4 && rest.length > rest.readUInt32BE(1)) {
      const message = change(Buffer.from(rest.subarray(0, rest.readUInt32BE(1) + 1)))
      if (message) changed.push(message)
      rest = rest.subarray(rest.readUInt32BE(1) + 1)
    }
    return Buffer.concat(changed)
  }
}

interface ProxyOptions {
  /** is applied to every message of the server */
  change?: Change
  /** milliseconds for which everything is delayed, in each direction */
  latency?: number
}

/** A proxy of a database. While it is frozen, connections stay open and data is dropped. */
export async function openProxy (t: Test, url: string, { change, latency = 0 }: ProxyOptions = {}) {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isFrozen = false
  const server = createServer(client => {
    const upstream = connect(Number(target.port), target.hostname.replace(/[[\]]/g, ''))
    const changed = change ? changeMessages(change) : (chunk: Buffer) => chunk
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('data', (chunk: Buffer) => {
        if (isFrozen) return
        const bytes = from === upstream ? changed(chunk) : chunk
        if (latency === 0) to.write(bytes)
        // Timers of the same duration keep their order.
        else setTimeout(() => { to.write(bytes) }, latency)
      })
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        if (!isFrozen) to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    /** The number of open sockets, two of each connection. */
    count: () => sockets.size,
    freeze () { isFrozen = true },
    thaw () {
      isFrozen = false
      // Data was lost, so the old connections are useless.
      for (const socket of sockets) socket.destroy()
    }
  }
}
