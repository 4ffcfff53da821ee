import { Server } from 'node:http'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** From now on the service does not call itself ready, and goes on serving until it is closed. */
    drain (): void
    isDraining (): boolean
  }
}

/** How long connections without a request are kept at the close, in milliseconds. */
const LINGER = 1000

/**
 * Closes so that no request is lost. Node closes idle connections as soon as the server stops listening: a request
 * that is already on its way on one of them would be answered by a reset. So they are kept a moment: what arrives is
 * answered, with `connection: close`, and the next request goes to another instance.
 */
export default fp(async function draining (fastify) {
  let isDraining = false
  fastify.decorate('isDraining', () => isDraining)
  fastify.decorate('drain', () => { isDraining = true })

  fastify.addHook('preClose', async () => {
    isDraining = true
    const { server } = fastify
    if (!(server instanceof Server) || !server.listening) return
    const closeIdle = setInterval(() => Server.prototype.closeIdleConnections.call(server), LINGER)
    server.once('close', () => clearInterval(closeIdle))
    server.closeIdleConnections = () => {}
  })
}, { name: 'draining', fastify: '5.x' })
