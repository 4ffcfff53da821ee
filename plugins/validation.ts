import { Ajv } from 'ajv'
import fp from 'fastify-plugin'

/**
 * Judges requests by their schemas. Bodies strictly: Fastify's own settings would turn `["x"]` into a user name and
 * drop unknown keys in silence. Path and query arrive as text, so there a number may be written as one.
 */
export default fp(async function validation (fastify) {
  // verbose: an error carries its schema, whose description becomes the message.
  const strict = new Ajv({ verbose: true, strictTypes: false })
  const coercing = new Ajv({ verbose: true, strictTypes: false, coerceTypes: true, useDefaults: true })

  fastify.setValidatorCompiler(({ schema, httpPart }) => (httpPart === 'body' ? strict : coercing).compile(schema))
}, { name: 'validation', fastify: '5.x' })
