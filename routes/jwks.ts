import type { JsonWebKey } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

/**
 * How long others may remember the keys, in seconds, and so how long a new one has to be here before it signs
 * (docs/keys.md).
 */
const MAX_AGE = 300

const text = Type.Optional(Type.String({ maxLength: 1024 }))

// The members that may be seen, one by one: were a private one ever among the keys, it would not be written.
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
  // RFC 8037 appendix A.2 and A.3.
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
 * RFC 7517 §5. As application/json, which every reader of key sets takes. Not in a folder .well-known: TypeScript's
 * patterns pass over folders that begin with a dot.
 */
export default (async fastify => {
  fastify.get('/.well-known/jwks.json', {
    config: { access: 'public' },
    schema: {
      summary: 'The public keys that access tokens are verified with; none with JWT_SECRET.',
      response: { 200: Type.Object({ keys: Type.Array(PublicKey, { maxItems: 100 }) }) }
    }
  }, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${MAX_AGE}`)
    return { keys: [...fastify.accessTokens.publicJwks()] }
  })
}) satisfies FastifyPluginAsyncTypebox
