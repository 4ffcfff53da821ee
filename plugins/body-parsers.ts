import formbody from '@fastify/formbody'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

const FORM = 'application/x-www-form-urlencoded'

/** How bodies become values, before one and the same schema judges them. */
export default fp(async function bodyParsers (fastify) {
  await fastify.register(formbody)
  // Fastify brings a parser of its own for it; no route takes text.
  fastify.removeContentTypeParser('text/plain')

  // An empty JSON body is an absent one: clients put the content type on requests that have nothing to say.
  const parseJson = fastify.getDefaultJsonParser('error', 'error')
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parseJson(request, String(body), done)
  })

  // A form cannot tell a list of one from a text; the schema can.
  fastify.addHook('onRoute', route => {
    const lists = Object.entries(Object(Object(route.schema?.body).properties))
      .filter(([, schema]) => Object(schema).type === 'array').map(([name]) => name)
    if (lists.length === 0) return
    route.preValidation = [
      async (request: FastifyRequest) => {
        const body: Record<string, unknown> = Object(request.body)
        if (!request.headers['content-type']?.toLowerCase().startsWith(FORM)) return
        for (const name of lists) if (typeof body[name] === 'string') body[name] = [body[name]]
      },
      ...[route.preValidation ?? []].flat()
    ]
  })
}, { name: 'body-parsers', fastify: '5.x' })
