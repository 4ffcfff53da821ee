import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import { test } from 'tap'
import { algorithms, parseKeys } from '../../../src/tokens/signing-keys.ts'
import { jwks, privateKeys, secretsOf, toJwk, toPem } from '../../support/keys.ts'

const [ed, ec, rsa] = [privateKeys.EdDSA(), privateKeys.ES256(), privateKeys.RS256()]
const all: Array<[alg: string, key: KeyObject]> = [['EdDSA', ed], ['ES256', ec], ['RS256', rsa]]

/** The kid, the algorithm and the public key of each key in a text. @throws Error with the faults, if there are any */
function read (text: string) {
  const { keys, faults } = parseKeys(text)
  if (faults.length > 0) throw new Error(faults.join('\n'))
  return keys.map(({ kid, alg, publicJwk }) => ({ kid, alg, publicJwk }))
}

/** The same as jose computes it, independently of the code under test. */
async function described (key: KeyObject, alg: string, kid?: string) {
  const { d, p, q, dp, dq, qi, ...publicJwk } = await exportJWK(key)
  const name = kid ?? await calculateJwkThumbprint(publicJwk)
  return { kid: name, alg, publicJwk: { ...publicJwk, kid: name, alg, use: 'sig' } }
}

test('keys are read in order from PEM, a JWK, a list of JWKs and a JWK Set', async t => {
  const expected = await Promise.all(all.map(async ([alg, key]) => await described(key, alg)))
  const pem = all.map(([, key]) => toPem(key))
  const table: Record<string, string> = {
    'PEM blocks': pem.join(''),
    'PEM blocks with text around them': `the newest\n${pem.join('\nand\n')}\nthe end`,
    'PEM blocks with CRLF line breaks': pem.join('').replaceAll('\n', '\r\n'),
    'the older PEM formats': [pem[0], ec.export({ type: 'sec1', format: 'pem' }), rsa.export({ type: 'pkcs1', format: 'pem' })].join('\n'),
    'a JWK Set': jwks(...all.map(([, key]) => toJwk(key))),
    'a JWK Set with optional members': jwks(...all.map(([alg, key]) =>
      toJwk(key, { alg, use: 'sig', key_ops: ['verify', 'sign'], nbf: 1 }))),
    'a list': JSON.stringify(all.map(([, key]) => toJwk(key))),
    'a text with space around it': `\n  ${jwks(...all.map(([, key]) => toJwk(key)))}\n`
  }
  for (const [title, text] of Object.entries(table)) t.strictSame(read(text), expected, title)
  for (const [index, [, key]] of all.entries()) t.strictSame(read(JSON.stringify(toJwk(key))), [expected[index]])
})

test('the kid of a key is its own, or else its thumbprint (RFC 7638)', async t => {
  for (const alg of algorithms) {
    for (let count = 0; count < (alg === 'RS256' ? 2 : 50); count++) {
      const key = privateKeys[alg]()
      t.strictSame(read(toPem(key)), [await described(key, alg)])
      t.strictSame(read(jwks(toJwk(key, { kid: 'november' }))), [await described(key, alg, 'november')])
    }
  }
})

test('the parameters that openssl writes before an EC key are ignored', async t => {
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
  t.strictSame(read(parameters + ec.export({ type: 'sec1', format: 'pem' })), [await described(ec, 'ES256')])
})

test('an RSA signature is as long as its key', async t => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3080 })
  t.strictSame(parseKeys([ed, ec, rsa, privateKey].map(toPem).join('')).keys.map(({ signature }) => signature), [64, 64, 384, 385])
})

const expected = 'use Ed25519 (EdDSA), P-256 (ES256) or RSA with at least 3072 bits (RS256)'
const damaged = (jwk: JsonWebKey, from: JsonWebKey, ...names: string[]): JsonWebKey =>
  ({ ...jwk, ...Object.fromEntries(names.map(name => [name, from[name]])) })

test('a fault names the position of its key and what to do, and reveals nothing of the key', async t => {
  const [secondEc, secondRsa] = [privateKeys.ES256(), privateKeys.RS256()]
  const encrypted = ec.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'word' }).toString()
  const legacy = rsa.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'word' }).toString()
  const spki = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) + toPem(ed)
  const kind = (key: KeyObject) => [toPem(key), jwks(toJwk(key))]
  const short = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  const cases: Array<[fault: string, ...texts: string[]]> = [
    ['the file contains no key; add one with: gatehouse keys new', '', ' \n', 'x', jwks(), '[]', 'JWT_SECRET=abc'],
    ['the file is not valid JSON', '{', `{${JSON.stringify(toJwk(ed))}`, `[${toPem(ed)}]`],
    ['"keys" must be a list', '{"keys":{}}', JSON.stringify({ keys: toJwk(ed) })],
    ['a PEM block has no end line', toPem(ed).replace(/-----END.*/, ''), toPem(ed).replace('END PRIVATE', 'END EC PRIVATE'),
      toPem(ed) + toPem(ec).slice(0, 60)],
    ['key 1 is a secret (oct); set it as JWT_SECRET or JWT_SECRET_ACCEPTED instead', jwks({ kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' })],
    ['key 1 is a public key; the file must contain private keys',
      ...all.map(([, key]) => { const { d, ...publicJwk } = toJwk(key); return jwks(publicJwk) }), '{"keys":[null]}', '["a"]', '{}', '[1]'],
    ['key 1 is not for signing, according to its use or key_ops', jwks(toJwk(ed, { use: 'enc' })), jwks(toJwk(ed, { key_ops: ['verify'] })),
      jwks(toJwk(ed, { key_ops: 'sign' })), jwks(toJwk(ed, { use: null }))],
    [`key 1 is not a valid JWK: ${expected}`, jwks(toJwk(ed, { kty: 'XYZ' })), jwks(toJwk(ed, { crv: 'Ed1' })), jwks(toJwk(ec, { x: 'AA' })),
      jwks({ kty: 'RSA', d: 'AQAB' })],
    ['key 1 is not valid PEM', toPem(ed).replace(/\n[^-]*\n/, '\nbm90IGEga2V5\n')],
    ['key 1 is encrypted; decrypt it with openssl pkey', encrypted, legacy],
    ['key 1 is not a PKCS #8, SEC 1 or PKCS #1 private key; convert it with openssl pkey', spki,
      toPem(ed).replaceAll('PRIVATE KEY', 'OPENSSH PRIVATE KEY'), toPem(ed).replaceAll('PRIVATE KEY', 'CERTIFICATE')],
    [`key 1 is rsa, 2048 bits: ${expected}`, ...kind(short)],
    [`key 1 is ec, secp256k1: ${expected}`, ...kind(k256)],
    [`key 1 is ec, secp384r1: ${expected}`, ...kind(p384)],
    [`key 1 is ed448: ${expected}`, ...kind(generateKeyPairSync('ed448').privateKey)],
    [`key 1 is x25519: ${expected}`, ...kind(generateKeyPairSync('x25519').privateKey)],
    [`key 1 is rsa-pss, 2048 bits: ${expected}`, toPem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey)],
    ['key 1 has an alg other than EdDSA, which its type requires', jwks(toJwk(ed, { alg: 'HS256' })), jwks(toJwk(ed, { alg: 'ES256' })), jwks(toJwk(ed, { alg: null }))],
    ['key 1 has an alg other than RS256, which its type requires', jwks(toJwk(rsa, { alg: 'PS256' })), jwks(toJwk(rsa, { alg: 'RS512' }))],
    ['key 1 has a kid that is not a string of 1 to 128 characters', jwks(toJwk(ed, { kid: '' })), jwks(toJwk(ed, { kid: 1 })),
      jwks(toJwk(ed, { kid: 'x'.repeat(129) })), jwks(toJwk(ed, { kid: ['a'] }))],
    ['key 1 cannot sign: its private and its public part do not match', jwks(damaged(toJwk(ec), toJwk(secondEc), 'd')), jwks(toJwk(ec, { d: 'AA' })),
      jwks(damaged(toJwk(rsa), toJwk(secondRsa), 'd', 'p', 'q', 'dp', 'dq', 'qi')), jwks(damaged(toJwk(rsa), toJwk(secondRsa), 'n')),
      jwks(toJwk(rsa, { p: 'AA' }))],
    ['key 2 has the same kid as an earlier key', toPem(ed) + toPem(ed), jwks(toJwk(ed), toJwk(ed)), jwks(toJwk(ed, { kid: 'a' }), toJwk(ec, { kid: 'a' }))]
  ]
  const secrets = [ed, ec, rsa, secondEc, secondRsa, short, k256, p384].flatMap(secretsOf)
  for (const [fault, ...texts] of cases) {
    for (const text of texts) {
      const { faults } = parseKeys(text)
      t.ok(faults.includes(fault), `${fault}: ${text.slice(0, 80)} gave ${faults.join('; ')}`)
      t.strictSame(secrets.filter(secret => faults.join().includes(secret)), [])
    }
  }
})

test('all faults are reported together, beside the valid keys', async t => {
  const { keys, faults } = parseKeys(jwks(toJwk(ed), toJwk(ec, { alg: 'EdDSA' }), toJwk(ed), toJwk(rsa, { kid: '' }), toJwk(rsa)))
  t.strictSame(keys.map(({ alg }) => alg), ['EdDSA', 'RS256'])
  t.strictSame(faults, [
    'key 2 has an alg other than ES256, which its type requires',
    'key 3 has the same kid as an earlier key',
    'key 4 has a kid that is not a string of 1 to 128 characters'
  ])
})
