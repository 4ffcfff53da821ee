import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Access } from '../../../src/access.ts'
import { Text } from '../../../src/api/fields.ts'

const endpoints: Array<{ url: string, access: Access, text: string }> = [
  { url: '/all', access: 'public', text: 'Public Content.' },
  { url: '/user', access: 'signed-in', text: 'User Content.' },
  { url: '/mod', access: 'moderator', text: 'Moderator Content.' },
  { url: '/admin', access: 'admin', text: 'Admin Content.' }
]

/** Test endpoints, on which front-ends try their access tokens. */
export default (async fastify => {
  for (const { url, access, text } of endpoints) {
    fastify.get(url, {
      config: { access, ...access !== 'public' && { apiKeys: true }, deadline: false },
      schema: { summary: `Returns the text "${text}"`, response: { 200: Text(text) } }
    }, (_request, reply) => { reply.send(text) })
  }
}) satisfies FastifyPluginAsyncTypebox
