import { Ajv } from 'ajv'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { lazily } from '../src/api/lazily.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import { isRecord, property } from '../src/unknown.ts'

/**
 * Validates requests against their schemas. Bodies are validated strictly: Fastify's defaults would turn `["x"]` into
 * a username and silently drop unknown fields. Parameters and query strings are text, so their numbers are coerced.
 */
export default fp(async function validation (fastify) {
  // verbose: an error includes its schema, whose description becomes the message.
  // The schemas are those of the routes, which the tests check. Checking them at each start takes a thirtieth of it.
  const options = { verbose: true, strictTypes: false, validateSchema: false }
  const strict = new Ajv(options)
  // strictNumbers would exempt Infinity, which "1e999" is coerced to, from the bounds of a number.
  const coercing = new Ajv({ ...options, strictNumbers: false, coerceTypes: true, useDefaults: true })

  fastify.setValidatorCompiler<object>(({ schema, httpPart }) => lazily(() => {
    const validate = (httpPart === 'body' ? strict : coercing).compile(schema)
    return (data: unknown) => {
      validate(data)
      return validate.errors ? { error: validate.errors } : true
    }
  }))

  // Ajv coerces what JavaScript reads as a number, such as "0x1" and " 1": one user would have several URLs.
  fastify.addHook('onRoute', route => {
    const numbers = ['params', 'querystring'] as const
    const named = numbers.flatMap(part => {
      const fields = property(route.schema?.[part], 'properties')
      return Object.entries(isRecord(fields) ? fields : {})
        .filter(([, schema]) => property(schema, 'type') === 'integer')
        .map(([name]) => ({ part: part === 'params' ? 'params' as const : 'query' as const, name }))
    })
    if (named.length === 0) return
    prependHook(route, 'preValidation', async (request: FastifyRequest) => {
      for (const { part, name } of named) {
        const values = request[part]
        // Something that is no number, so that the validation rejects it.
        if (isRecord(values) && /[^\d]/.test(String(values[name] ?? ''))) values[name] = 'not digits'
      }
    })
  })
}, { name: 'validation', fastify: '5.x' })
