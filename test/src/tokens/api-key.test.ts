import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { decodeKey, encodeKey, hashSecret, hasSecret, newSecret } from '../../../src/tokens/api-key.ts'
import { crc32 } from '../../../src/tokens/crc32.ts'
import { newId } from '../../../src/tokens/ids.ts'

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const newKey = () => ({ keyId: newId(), secret: newSecret() })

test('a key is decoded to what was encoded', async t => {
  for (let i = 0; i < 1000; i++) {
    const key = newKey()
    const text = encodeKey(key)
    t.match(text, /^gh_[0-9A-Za-z]{60}$/)
    t.strictSame(decodeKey(text), key)
  }
})

test('the text of a key does not change from version to version', async t => {
  const key = { keyId: '019ab0c4-7c00-7000-8000-000000000001', secret: Buffer.alloc(20, 7) }
  t.equal(encodeKey(key), 'gh_01ovp62Gn9yS2LKcb200000107yhS307yhS307yhS307yhS307yhS30o6xiy')
})

test('a key whose id is no valid UUID is decoded, because any 128 bits can be presented', async t => {
  const key = { keyId: 'ffffffff-ffff-7fff-bfff-ffffffffffff', secret: Buffer.alloc(20, 255) }
  const text = encodeKey(key)
  t.strictSame(decodeKey(text), key)
  // The version of the id is in the second word. Its checksum is computed by another means.
  const bytes = Buffer.concat([Buffer.from('ffffffffffff0fffbfffffffffffffff', 'hex'), key.secret])
  const words = [...Array.from({ length: 9 }, (_, index) => bytes.readUInt32BE(index * 4)), crc32(bytes)]
  const spell = (word: number): string => Array.from({ length: 6 }, (_, place) =>
    LETTERS.charAt(Math.floor(word / 62 ** (5 - place)) % 62)).join('')
  t.match(decodeKey(`gh_${words.map(spell).join('')}`), { keyId: 'ffffffff-ffff-0fff-bfff-ffffffffffff' })
})

test('a key with one letter changed, at any place, is not decoded', async t => {
  const text = encodeKey(newKey())
  let accepted = 0
  for (let place = 0; place < text.length; place++) {
    for (const letter of `${LETTERS}_-!€`) {
      if (letter !== text[place] && decodeKey(text.slice(0, place) + letter + text.slice(place + 1))) accepted++
    }
  }
  t.equal(accepted, 0)
})

test('keys with two letters swapped, one left out or one too many are not decoded', async t => {
  const text = encodeKey({ ...newKey(), secret: Buffer.from('000102030405060708090a0b0c0d0e0f10111213', 'hex') })
  for (let place = 3; place < text.length - 1; place++) {
    const swapped = text.slice(0, place) + text.charAt(place + 1) + text.charAt(place) + text.slice(place + 2)
    if (swapped !== text) t.equal(decodeKey(swapped), undefined, swapped)
    t.equal(decodeKey(text.slice(0, place) + text.slice(place + 1)), undefined)
    t.equal(decodeKey(`${text.slice(0, place)}0${text.slice(place)}`), undefined)
  }
  for (const other of ['', 'gh_', 'GH_'.concat(text.slice(3)), ` ${text}`, `${text}\n`, text.toUpperCase()]) {
    t.equal(decodeKey(other), undefined, JSON.stringify(other))
  }
})

test('of a million random texts with the form of a key, none is decoded', async t => {
  let decoded = 0
  const bytes = randomBytes(60_000)
  for (let i = 0; i < 1_000_000; i++) {
    const from = Math.floor(Math.random() * (bytes.length - 60))
    let text = 'gh_'
    // Words above 32 bits are no key in any case: most of these begin with a small digit.
    for (let place = 0; place < 60; place++) {
      text += LETTERS.charAt(Number(bytes[from + place]) % (place % 6 === 0 ? 5 : 62))
    }
    if (decodeKey(text)) decoded++
  }
  t.equal(decoded, 0)
})

test('a key has one spelling: a word above 32 bits is not decoded', async t => {
  const text = encodeKey({ keyId: '00000000-0000-7000-8000-000000000000', secret: Buffer.alloc(20) })
  t.equal(text.slice(3, 9), '000000')
  // 2³², which is 0 in 32 bits.
  t.equal(decodeKey(`gh_4gfFC4${text.slice(9)}`), undefined)
})

test('only the secret itself has its hash', async t => {
  const key = newKey()
  const secretHash = hashSecret(key.secret)
  t.equal(hasSecret({ keyId: key.keyId, secretHash: hashSecret(key.secret) }, { secretHash }), true)
  t.equal(hasSecret({ keyId: key.keyId, secretHash: hashSecret(newSecret()) }, { secretHash }), false)
})

test('the checksum is the CRC-32 of zlib', async t => {
  t.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  t.equal(crc32(Buffer.alloc(0)), 0)
})
