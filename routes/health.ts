import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ping } from '../sql/health.ts'

const Status = (text: string) => Type.Object({ status: Type.String({ examples: [text] }) })

const alive = { status: 'ok' }
const ready = { status: 'ready' }

/** For who restarts and who sends requests: Kubernetes, a load balancer. */
export default (async fastify => {
  fastify.get('/health/live', {
    config: { access: 'public' },
    // Never asks the database: a process must not be restarted because that is away.
    schema: { summary: 'Whether the process answers.', response: { 200: Status(alive.status) } }
  }, async () => alive)

  fastify.get('/health/ready', {
    config: { access: 'public' },
    // Migrations have run before the process listens; one that is closing refuses every request with a 503.
    schema: { summary: 'Whether it can serve: the database answers.', response: { 200: Status(ready.status) } }
  }, async () => {
    await fastify.db.query(ping())
    return ready
  })
}) satisfies FastifyPluginAsyncTypebox
