import { Ajv } from 'ajv'
import fp from 'fastify-plugin'

/**
 * Judges requests by their schemas. Bodies strictly: Fastify's own settings would turn `["x"]` into a user name and
 * drop unknown keys in silence. Path and query arrive as text, so there a number may be written as one.
 */
export default fp(async function validation (fastify) {
  // verbose: an error carries its schema, whose description becomes the message.
  const strict = new Ajv({ verbose: true, strictTypes: false })
  // strictNumbers: with it, the bounds of a number are not asked of Infinity, which "1e999" is coerced to.
  const coercing = new Ajv({ verbose: true, strictTypes: false, strictNumbers: false, coerceTypes: true, useDefaults: true })

  fastify.setValidatorCompiler(({ schema, httpPart }) => (httpPart === 'body' ? strict : coercing).compile(schema))
}, { name: 'validation', fastify: '5.x' })
