import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { createSigner, createVerifier, type VerifierOptions } from 'fast-jwt'
import type { SigningKey } from './signing-keys.ts'

/** Verifies tokens with one key. */
export interface Verifier {
  /** the end of every token that this key can have signed */
  signature: RegExp
  /** @returns the claims. @throws TokenError of fast-jwt */
  verify (token: string): unknown
}

/** The keys in use. */
export interface KeyRing {
  sign (claims: object): string
  /** @param kid of a token's header, or undefined. @returns the keys to try; empty for an unknown kid */
  verifiers (kid: unknown): readonly Verifier[]
  publicJwks: readonly JsonWebKey[]
}

// The last base64url character of a signature has unused bits: none after 3n bytes, four after 3n + 1, two after
// 3n + 2. They must be zero, or one token would have several spellings, and a deny-list of tokens could be evaded.
const LAST = ['[\\w-]', '[AQgw]', '[AEIMQUYcgkosw048]']

const canonical = (bytes: number): RegExp => new RegExp(`\\.[\\w-]{${Math.ceil(bytes * 4 / 3) - 1}}${LAST[bytes % 3]}$`)

/** Verifies HS256 tokens. */
export const secretVerifier = (verify: (token: string) => unknown): Verifier => ({ signature: canonical(32), verify })

/**
 * HS256. Tokens carry no key id, so each secret is tried in turn: an id derived from a secret would let an attacker
 * test guesses of the secret offline.
 */
export const ringOfSecrets = (sign: KeyRing['sign'], secrets: readonly Verifier[]): KeyRing => ({
  sign,
  verifiers: kid => kid === undefined ? secrets : [],
  publicJwks: []
})

/**
 * Private keys. A token is verified with the key it names and that key's algorithm alone, so that a public key is
 * never used as an HMAC secret (RFC 8725 §3.1).
 * @param keys the first one signs
 * @param secrets verifiers for tokens without a key id
 */
export function ringOfKeys (
  keys: readonly [SigningKey, ...SigningKey[]],
  secrets: readonly Verifier[],
  rules: VerifierOptions
): KeyRing {
  // fast-jwt directly: @fastify/jwt, which is built on it, takes its keys only once, at registration.
  const verifiers = new Map<unknown, readonly Verifier[]>([[undefined, secrets]])
  for (const { kid, alg, signature, publicJwk } of keys) {
    const key = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const verify: Verifier['verify'] = createVerifier({ ...rules, key, algorithms: [alg] })
    verifiers.set(kid, [{ signature: canonical(signature), verify }])
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

/** A token's header, unverified; undefined if there is none. */
export function headerOf (token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
  } catch {
    return undefined
  }
}
