import { Ajv } from 'ajv'
import fp from 'fastify-plugin'

/**
 * Validates requests against their schemas. Bodies are validated strictly: Fastify's defaults would turn `["x"]` into
 * a username and silently drop unknown fields. Parameters and query strings are text, so their numbers are coerced.
 */
export default fp(async function validation (fastify) {
  // verbose: an error includes its schema, whose description becomes the message.
  const options = { verbose: true, strictTypes: false }
  const strict = new Ajv(options)
  // strictNumbers would exempt Infinity, which "1e999" is coerced to, from the bounds of a number.
  const coercing = new Ajv({ ...options, strictNumbers: false, coerceTypes: true, useDefaults: true })

  fastify.setValidatorCompiler<object>(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema))
}, { name: 'validation', fastify: '5.x' })
