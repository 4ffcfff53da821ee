import fp from 'fastify-plugin'
import { Counter, Gauge, Registry } from 'prom-client'
import type { RequestFigures } from '../src/request-figures.ts'
import { toApiError } from './error-handler.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What Prometheus reads; src/metrics-server.ts serves it. */
    metrics: Registry
    /** What src/app.ts has Fastify count. */
    requestFigures: RequestFigures
  }
  interface FastifyContextConfig {
    /** Counts a route's outcomes by this name. */
    action?: 'sign_in' | 'sign_up' | 'refresh'
  }
}

/** Figures of requests and of what they wait for. What is known elsewhere is asked for when it is read. */
export default fp(async function metrics (fastify) {
  const { authority, db, passwords } = fastify
  const registry = new Registry()
  const registers = [registry]
  fastify.decorate('metrics', registry)

  registry.registerMetric(fastify.requestFigures)

  const actions = new Counter({
    name: 'gatehouse_auth_total',
    help: 'Sign-ins, sign-ups and refreshes by outcome: success, or the code of the refusal.',
    labelNames: ['action', 'outcome'] as const,
    registers
  })
  fastify.addHook('onRoute', route => {
    const action = route.config?.action
    if (action === undefined) return
    route.onSend = [async (_request, reply) => {
      if (reply.statusCode < 400) actions.inc({ action, outcome: 'success' })
    }, ...[route.onSend ?? []].flat()]
    route.onError = [async (_request, _reply, error) => {
      actions.inc({ action, outcome: toApiError(error).code })
    }, ...[route.onError ?? []].flat()]
  })

  /** A figure that is asked for when it is read. */
  const gauge = (name: string, help: string, read: () => number) => new Gauge({
    name, help, registers, collect () { this.set(read()) }
  })
  const total = (name: string, help: string, read: () => number) => new Counter({
    name, help, registers, collect () { this.reset(); this.inc(read()) }
  })

  gauge('gatehouse_password_hashes_running', 'Passwords that are hashed now.', () => passwords.load().running)
  gauge('gatehouse_password_hashes_waiting', 'Passwords that wait to be hashed.', () => passwords.load().waiting)
  gauge('gatehouse_database_connections', 'Connections of the pool.', () => db.connections().total)
  gauge('gatehouse_database_connections_idle', 'Connections of the pool that are idle.', () => db.connections().idle)
  gauge('gatehouse_database_waiting', 'Requests that wait for a connection.', () => db.connections().waiting)
  total('gatehouse_authority_recalled_total', 'Sessions judged from memory.', () => authority.figures().recalled)
  total('gatehouse_authority_looked_up_total', 'Sessions judged by the database.', () => authority.figures().lookedUp)
  gauge('gatehouse_authority_remembered', 'Sessions that are remembered.', () => authority.figures().remembered)
  gauge('gatehouse_authority_listening', '1 where changes of authority are announced, 0 where every request asks the ' +
    'database; with WORKERS, how many processes listen.', () => Number(authority.figures().isListening))
}, { name: 'metrics', fastify: '5.x', dependencies: ['authority', 'db', 'error-handler', 'passwords'] })
