import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Access } from '../../../src/access.ts'
import { Text } from '../../../src/schemas.ts'

const boards: Array<{ url: string, access: Access, text: string }> = [
  { url: '/all', access: 'public', text: 'Public Content.' },
  { url: '/user', access: 'signed-in', text: 'User Content.' },
  { url: '/mod', access: 'moderator', text: 'Moderator Content.' },
  { url: '/admin', access: 'admin', text: 'Admin Content.' }
]

/** A board for each kind of visitor, on which front-ends try their tokens. */
export default (async fastify => {
  for (const { url, access, text } of boards) {
    fastify.get(url, {
      config: { access },
      schema: { summary: `The text "${text}"`, response: { 200: Text(text) } }
    }, (_request, reply) => { reply.send(text) })
  }
}) satisfies FastifyPluginAsyncTypebox
