import formbody from '@fastify/formbody'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { prependHook } from '../src/api/route-hooks.ts'
import { isRecord, property } from '../src/unknown.ts'

const FORM = 'application/x-www-form-urlencoded'

/** By the type of a field. A value that is not converted is left for the validation to reject. */
const FROM_STRING = new Map<unknown, (value: string) => unknown>([
  ['array', value => [value]],
  ['boolean', value => ['true', 'false'].includes(value) ? value === 'true' : value]
])

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

  // In a form, every value is a string. The schema tells which one is a list with one item, or a boolean.
  fastify.addHook('onRoute', route => {
    const fields = property(route.schema?.body, 'properties')
    const converted = Object.entries(isRecord(fields) ? fields : {}).flatMap(([name, schema]) => {
      const convert = FROM_STRING.get(property(schema, 'type'))
      return convert ? [{ name, convert }] : []
    })
    if (converted.length === 0) return
    prependHook(route, 'preValidation', async (request: FastifyRequest) => {
      const { body, headers } = request
      if (!isRecord(body) || !headers['content-type']?.toLowerCase().startsWith(FORM)) return
      for (const { name, convert } of converted) {
        const value = body[name]
        if (typeof value === 'string') body[name] = convert(value)
      }
    })
  })
}, { name: 'body-parsers', fastify: '5.x' })
