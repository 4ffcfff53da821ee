import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { createSigner, createVerifier, type VerifierOptions } from 'fast-jwt'
import type { SigningKey } from './signing-keys.ts'

/** One key, ready to verify with. */
export interface Verifier {
  /** the end of a token that this key can have signed */
  signature: RegExp
  /** @returns the claims. @throws fast-jwt's TokenError */
  verify (token: string): unknown
}

/** The keys in force. */
export interface KeyRing {
  sign (claims: object): string
  /** Those that a token with this `kid` in its header may be verified with; undefined: it names no key. */
  verifiers (kid: unknown): readonly Verifier[]
  publicJwks: readonly JsonWebKey[]
}

// In base64url the last character of a signature has unused bits: none after 3n bytes, four after 3n + 1, two after
// 3n + 2. They must be zero: otherwise one token has several spellings, and a list keyed by tokens could be walked
// around.
const LAST = ['[\\w-]', '[AQgw]', '[AEIMQUYcgkosw048]']

const canonical = (bytes: number): RegExp => new RegExp(`\\.[\\w-]{${Math.ceil(bytes * 4 / 3) - 1}}${LAST[bytes % 3]}$`)

/** A verifier of HS256. */
export const secretVerifier = (verify: (token: string) => unknown): Verifier => ({ signature: canonical(32), verify })

/** HS256: tokens name no key, and each secret is tried in turn; the name of a secret would be a hash to guess it by. */
export const ringOfSecrets = (sign: KeyRing['sign'], secrets: readonly Verifier[]): KeyRing => ({
  sign,
  verifiers: kid => kid === undefined ? secrets : [],
  publicJwks: []
})

/**
 * Private keys: a token is verified with the key it names and by that key's algorithm alone, so that no public half
 * can pass for a secret (RFC 8725 §3.1).
 * @param keys the first signs
 * @param secrets what tokens that name no key may be verified with
 */
export function ringOfKeys (keys: readonly [SigningKey, ...SigningKey[]], secrets: readonly Verifier[], rules: VerifierOptions): KeyRing {
  // fast-jwt itself, which is what @fastify/jwt is made of: that one takes its keys once, before the service is ready.
  const verifiers = new Map<unknown, readonly Verifier[]>([[undefined, secrets]])
  for (const { kid, alg, signature, publicJwk } of keys) {
    const key = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    verifiers.set(kid, [{ signature: canonical(signature), verify: createVerifier({ ...rules, key, algorithms: [alg] }) }])
  }
  const [{ kid, alg, privateKey }] = keys
  return {
    sign: createSigner({
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      algorithm: alg,
      header: { alg, typ: 'at+jwt', kid }
    }),
    verifiers: kid => verifiers.get(kid) ?? [],
    publicJwks: keys.map(({ publicJwk }) => publicJwk)
  }
}
