import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createFolder } from './folder.ts'

/** Generates a valid private key, by algorithm. */
export const privateKeys: Record<'EdDSA' | 'ES256' | 'RS256', () => KeyObject> = {
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey
}

export const toPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

export const toJwk = (key: KeyObject, more: object = {}): JsonWebKey => ({ ...key.export({ format: 'jwk' }), ...more })

/** The secret parts of a private key, in every format in which a message could reveal them. */
export function secretsOf (key: KeyObject): string[] {
  const { d, p, q, dp, dq, qi } = key.export({ format: 'jwk' })
  const lines = toPem(key).split('\n').filter(line => line !== '' && !line.startsWith('-----'))
  return [...[d, p, q, dp, dq, qi].filter(part => part !== undefined), ...lines]
}

/** A file for JWT_KEYS_FILE. `write` changes it. */
export async function keyFile (t: Test, text: string): Promise<{ file: string, write (text: string): void }> {
  const file = join(await createFolder(t), 'keys.json')
  const write = (text: string) => writeFileSync(file, text, { mode: 0o600 })
  write(text)
  return { file, write }
}

export const jwks = (...keys: JsonWebKey[]): string => JSON.stringify({ keys })
