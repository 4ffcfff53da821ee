import { createHmac, hkdfSync } from 'node:crypto'
import { test } from 'tap'
import { type RefreshClaims, RefreshTokenCodec } from '../../../src/tokens/refresh-token.ts'

const SECRET = 'a secret that is long enough for this'
const LENGTH = 61

const codec = new RefreshTokenCodec(SECRET)
const claims: RefreshClaims = { userId: 42, sessionId: '0190f5b4-7c3e-7a10-8c2d-3f4b5a6c7d8e', generation: 7 }
const token = codec.encode(claims)

test('a token decodes to the claims it was made of', async t => {
  const table: RefreshClaims[] = [
    claims,
    { ...claims, userId: 1, generation: 0 },
    { ...claims, userId: Number.MAX_SAFE_INTEGER, generation: 2 ** 32 - 1 },
    { ...claims, sessionId: 'ffffffff-ffff-4fff-bfff-ffffffffffff' }
  ]
  for (const each of table) {
    const { key, ...decoded } = codec.decode(codec.encode(each)) ?? {}
    t.strictSame(decoded, each)
  }
})

test('a token is 82 characters of base64url', async t => {
  t.match(token, /^[\w-]{82}$/)
})

test('equal claims give the same token, different claims a different one', async t => {
  t.equal(codec.encode({ ...claims }), token)
  t.equal(new RefreshTokenCodec(SECRET).encode(claims), token)
  const others = [{ ...claims, generation: 8 }, { ...claims, userId: 43 },
    { ...claims, sessionId: '0190f5b4-7c3e-7a10-8c2d-3f4b5a6c7d8f' }]
  t.equal(new Set([token, ...others.map(other => codec.encode(other))]).size, 4)
})

test('a token with any single bit flipped is rejected', async t => {
  const bytes = Buffer.from(token, 'base64url')
  const accepted = []
  for (let bit = 0; bit < LENGTH * 8; bit++) {
    const forged = Buffer.from(bytes)
    forged[bit >> 3] = forged.readUInt8(bit >> 3) ^ (1 << (bit & 7))
    if (codec.decode(forged.toString('base64url'))) accepted.push(bit)
  }
  t.equal(bytes.length, LENGTH)
  t.strictSame(accepted, [])
})

test('a token with any single character changed is rejected', async t => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const accepted = []
  for (let at = 0; at < token.length; at++) {
    for (const character of alphabet) {
      if (character === token[at]) continue
      const forged = token.slice(0, at) + character + token.slice(at + 1)
      if (codec.decode(forged)) accepted.push(forged)
    }
  }
  t.strictSame(accepted, [])
})

test('a token is refused when cut at any place', async t => {
  const accepted = []
  for (let length = 0; length < token.length; length++) {
    if (codec.decode(token.slice(0, length)) || codec.decode(token.slice(token.length - length))) accepted.push(length)
  }
  t.strictSame(accepted, [])
})

test('a token has one spelling only', async t => {
  const bytes = Buffer.from(token, 'base64url')
  // Claims whose token has both characters in which the two base64 alphabets differ.
  const spelt = Array.from({ length: 1000 }, (_, generation) => codec.encode({ ...claims, generation }))
    .find(text => text.includes('-') && text.includes('_')) ?? ''
  t.ok(codec.decode(spelt))
  const table: Record<string, string> = {
    padding: `${token}==`,
    'one sign of padding': `${token}=`,
    'the other alphabet': spelt.replaceAll('-', '+').replaceAll('_', '/'),
    hexadecimal: bytes.toString('hex'),
    binary: bytes.toString('latin1'),
    'a character more': `${token}A`,
    'a byte more': Buffer.concat([bytes, Buffer.of(0)]).toString('base64url'),
    'itself twice': token + token,
    'a space before': ` ${token}`,
    'a line break behind': `${token}\n`,
    'a character inside that decoding skips': `${token.slice(0, 40)}.${token.slice(40)}`,
    'NUL behind': `${token}\0`,
    'fullwidth letters': token.replace(/[A-Za-z]/, letter => String.fromCharCode(letter.charCodeAt(0) + 0xfee0)),
    'upper case': token.toUpperCase(),
    'nothing at all': '',
    'a million characters': 'A'.repeat(1_000_000),
    'a lone surrogate': '\ud800',
    'an access token': 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
    'a uuid': claims.sessionId
  }
  for (const [title, text] of Object.entries(table)) t.equal(codec.decode(text), undefined, title)
})

test('a token of another secret is rejected', async t => {
  t.equal(codec.decode(new RefreshTokenCodec(`${SECRET}!`).encode(claims)), undefined)
})

test('a token of an accepted secret is valid, and its successor does not depend on the change of secrets', async t => {
  const next = 'the next secret, as long as the one that is in use'
  const [before, added, promoted, after] = [
    codec, new RefreshTokenCodec(SECRET, next), new RefreshTokenCodec(next, 'a third one, which is long enough too', SECRET), new RefreshTokenCodec(next)
  ]
  for (const each of [before, added, promoted]) {
    const presented = each.decode(token)
    t.match(presented, claims)
    t.equal(each.encode({ ...claims, generation: 8 }, presented?.key), codec.encode({ ...claims, generation: 8 }))
  }
  t.equal(promoted.encode(claims), after.encode(claims), 'the new secret signs new sessions')
  t.not(promoted.encode(claims), token)
  t.match(added.decode(after.encode(claims)), claims)
  t.equal(after.decode(token), undefined)
  t.equal(codec.decode(after.encode(claims)), undefined)
})

/** A token with this version, signed with the given key. */
function signed (version: number, key: Buffer): string {
  const head = Buffer.from(token, 'base64url').subarray(0, LENGTH - 32)
  head.writeUInt8(version)
  return Buffer.concat([head, createHmac('sha256', key).update(head).digest()]).toString('base64url')
}

test('the key is derived from the secret, so it differs from the one that signs access tokens', async t => {
  const derived = Buffer.from(hkdfSync('sha256', SECRET, '', 'gatehouse refresh token v1', 32))
  t.equal(signed(1, derived), token)
  t.equal(codec.decode(signed(1, Buffer.from(SECRET))), undefined)
})

test('another version is rejected even if it is signed', async t => {
  const derived = Buffer.from(hkdfSync('sha256', SECRET, '', 'gatehouse refresh token v1', 32))
  for (const version of [0, 2, 255]) t.equal(codec.decode(signed(version, derived)), undefined, String(version))
})
