import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Message } from '../src/api/fields.ts'

const welcome = { message: 'Welcome to gatehouse.' }

export default (async fastify => {
  fastify.get('/', {
    config: { access: 'public' },
    schema: { summary: 'Returns a greeting.', response: { 200: Message(welcome.message) } }
  }, async () => welcome)
}) satisfies FastifyPluginAsyncTypebox
