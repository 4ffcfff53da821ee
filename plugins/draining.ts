import { Server } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Makes /health/ready fail. The service keeps serving until it is closed. */
    drain (): void
    isDraining (): boolean
  }
}

/** Milliseconds for which idle connections are kept open during the close. */
const LINGER = 1000

/**
 * Closes without losing requests. Node closes idle connections as soon as the server stops listening, which would reset
 * a request that is already on its way. They are kept open a little longer instead: such a request gets its response,
 * with `connection: close`, and the client's next request reaches another instance.
 */
export default fp(async function draining (fastify) {
  let isDraining = false
  fastify.decorate('isDraining', () => isDraining)
  fastify.decorate('drain', () => { isDraining = true })

  const sockets = new Set<Socket>()
  fastify.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
  })

  fastify.addHook('preClose', async () => {
    isDraining = true
    const { server } = fastify
    if (!(server instanceof Server) || !server.listening) return
    const closeIdle = setInterval(() => {
      Server.prototype.closeIdleConnections.call(server)
      // Browsers and load balancers open connections in advance. Node counts none as idle before its first request, and
      // no longer enforces the timeout for that.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }, LINGER)
    server.once('close', () => { clearInterval(closeIdle) })
    server.closeIdleConnections = () => {}
  })
}, { name: 'draining', fastify: '5.x' })
