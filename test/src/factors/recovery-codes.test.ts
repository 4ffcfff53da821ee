import { test } from 'tap'
import { hashRecoveryCode, isRecoveryCode, newRecoveryCodes } from '../../../src/factors/recovery-codes.ts'

/** The bits of a code: each character is five of them. */
const bitsOf = (code: string): string => [...code.replaceAll('-', '')]
  .map(character => 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(character).toString(2).padStart(5, '0')).join('')

test('ten codes are made at once, each of 128 random bits in 26 characters of base32', t => {
  const codes = newRecoveryCodes()
  t.equal(codes.length, 10)
  for (const code of codes) {
    t.match(code, /^([a-z2-7]{5}-){5}[a-z2-7]$/)
    t.match(bitsOf(code), /^[01]{128}00$/, 'the last character has three bits')
    t.ok(isRecoveryCode(code))
  }
  t.end()
})

test('every bit of a code is random: over 400 codes, each is about as often 1 as 0', t => {
  const codes = Array.from({ length: 40 }, newRecoveryCodes).flat().map(bitsOf)
  t.equal(new Set(codes).size, 400)
  for (let bit = 0; bit < 128; bit++) {
    const ones = codes.filter(bits => bits[bit] === '1').length
    // Seven standard deviations.
    t.ok(ones > 130 && ones < 270, `bit ${bit}: ${ones} of 400`)
  }
  t.end()
})

test('the hash of a code has 256 bits, and depends neither on case nor on separators', t => {
  const [code = '', other = ''] = newRecoveryCodes()
  const hash = hashRecoveryCode(code)
  t.match(hash, /^[\w-]{43}$/)
  for (const spelled of [code.toUpperCase(), code.replaceAll('-', ''), code.replaceAll('-', ' '), ` ${code} `]) {
    t.equal(hashRecoveryCode(spelled), hash)
    t.ok(isRecoveryCode(spelled))
  }
  t.not(hashRecoveryCode(other), hash)
  t.end()
})

test('a code of an authenticator app, or a text of another length or with other characters, is no recovery code', t => {
  const [code = ''] = newRecoveryCodes()
  for (const text of ['', '123456', '123 456', code.slice(1), `${code}a`, `1${code.slice(1)}`, `é${code.slice(1)}`]) {
    t.notOk(isRecoveryCode(text), text)
  }
  t.end()
})
