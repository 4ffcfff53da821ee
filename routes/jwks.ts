import type { JsonWebKey } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

/** Seconds for which others may cache the keys, and so for which a new key must be published before it signs. */
const MAX_AGE = 300

const text = Type.Optional(Type.String({ maxLength: 1024 }))

// The public members by name, so that a private one could never be serialised.
const PublicKey = Type.Unsafe<JsonWebKey>(Type.Object({
  kid: Type.String({ maxLength: 128 }),
  alg: Type.String({ maxLength: 8 }),
  use: Type.String({ maxLength: 8 }),
  kty: Type.String({ maxLength: 8 }),
  crv: text,
  x: text,
  y: text,
  n: text,
  e: text
}, {
  // RFC 8037 appendices A.2 and A.3.
  examples: [{
    kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    alg: 'EdDSA',
    use: 'sig',
    kty: 'OKP',
    crv: 'Ed25519',
    x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  }]
}))

/**
 * The public keys (RFC 7517 §5), as application/json, which every client accepts. The file is not in a folder
 * `.well-known`, because TypeScript's patterns ignore folders that begin with a dot.
 */
export default (async fastify => {
  fastify.get('/.well-known/jwks.json', {
    config: { access: 'public' },
    schema: {
      summary: 'Returns the public keys that verify access tokens; none without JWT_KEYS_FILE.',
      response: { 200: Type.Object({ keys: Type.Array(PublicKey, { maxItems: 100 }) }) }
    }
  }, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${MAX_AGE}`)
    return { keys: [...fastify.accessTokens.publicJwks()] }
  })
}) satisfies FastifyPluginAsyncTypebox
