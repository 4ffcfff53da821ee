import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A proxy of a database. While it is frozen, connections stay open and data is dropped. */
export async function openProxy (t: Test, url: string) {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isFrozen = false
  const server = createServer(client => {
    const upstream = connect(Number(target.port), target.hostname.replace(/[[\]]/g, ''))
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('data', chunk => { if (!isFrozen) to.write(chunk) })
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
    freeze () { isFrozen = true },
    thaw () {
      isFrozen = false
      // Data was lost, so the old connections are useless.
      for (const socket of sockets) socket.destroy()
    }
  }
}
