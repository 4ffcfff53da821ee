import formbody from '@fastify/formbody'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { prependHook } from '../src/api/route-hooks.ts'
import { isRecord, property } from '../src/unknown.ts'

const FORM = 'application/x-www-form-urlencoded'

/** Parses JSON and form bodies, which are then validated against the same schema. */
export default fp(async function bodyParsers (fastify) {
  await fastify.register(formbody)
  // Fastify has a parser for it by default, but no route takes text.
  fastify.removeContentTypeParser('text/plain')

  // An empty JSON body counts as absent: clients send the content type even without a body.
  const parseJson = fastify.getDefaultJsonParser('error', 'error')
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else return parseJson(request, String(body), done)
  })

  // A form does not distinguish a list with one item from a text. The schema does.
  fastify.addHook('onRoute', route => {
    const fields = property(route.schema?.body, 'properties')
    const lists = Object.entries(isRecord(fields) ? fields : {})
      .filter(([, schema]) => property(schema, 'type') === 'array').map(([name]) => name)
    if (lists.length === 0) return
    prependHook(route, 'preValidation', async (request: FastifyRequest) => {
      const { body, headers } = request
      if (!isRecord(body) || !headers['content-type']?.toLowerCase().startsWith(FORM)) return
      for (const name of lists) if (typeof body[name] === 'string') body[name] = [body[name]]
    })
  })
}, { name: 'body-parsers', fastify: '5.x' })
