import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { isStrongKey } from '../../../src/config/key-strength.ts'
import { EncryptionKeys, newEncryptionKey } from '../../../src/tokens/encryption-keys.ts'

const [FIRST, SECOND, THIRD] = [newEncryptionKey(), newEncryptionKey(), newEncryptionKey()]
const plain = Buffer.from('JBSWY3DPEHPK3PXP')

test('what is encrypted for a user is decrypted for that user alone', async t => {
  const keys = new EncryptionKeys(FIRST)
  for (const userId of [1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const sealed = keys.encrypt(plain, userId)
    t.strictSame(keys.decrypt(sealed, userId), { plain, isOutdated: false })
    t.equal(keys.decrypt(sealed, userId - 1), undefined)
  }
})

test('secrets of any length are encrypted, each time differently and with 37 bytes more', async t => {
  const keys = new EncryptionKeys(FIRST)
  for (const secret of [Buffer.alloc(0), plain, randomBytes(10_000)]) {
    const sealed = [keys.encrypt(secret, 1), keys.encrypt(secret, 1)]
    t.strictSame(sealed.map(({ length }) => length), [secret.length + 37, secret.length + 37])
    t.strictNotSame(sealed[0], sealed[1])
    for (const each of sealed) t.strictSame(keys.decrypt(each, 1), { plain: secret, isOutdated: false })
  }
  t.notOk(keys.encrypt(plain, 1).includes(plain))
})

test('the first key encrypts, and all keys decrypt', async t => {
  const old = new EncryptionKeys(FIRST).encrypt(plain, 1)
  const rotating = new EncryptionKeys(SECOND, FIRST)
  t.strictSame(rotating.decrypt(old, 1), { plain, isOutdated: true })
  const sealed = rotating.encrypt(plain, 1)
  t.strictSame(rotating.decrypt(sealed, 1), { plain, isOutdated: false })
  t.strictSame(new EncryptionKeys(FIRST, SECOND).decrypt(sealed, 1), { plain, isOutdated: true })
  t.equal(new EncryptionKeys(SECOND, THIRD).decrypt(old, 1), undefined, 'its key was removed')
})

test('the same key in hexadecimal and in base64 is one key, and a longer one is used as a whole', async t => {
  const bytes = randomBytes(48)
  const sealed = new EncryptionKeys(bytes.toString('base64')).encrypt(plain, 1)
  for (const text of [bytes.toString('hex'), bytes.toString('hex').toUpperCase()]) {
    t.strictSame(new EncryptionKeys(text).decrypt(sealed, 1), { plain, isOutdated: false })
  }
  t.equal(new EncryptionKeys(bytes.subarray(0, 32).toString('hex')).decrypt(sealed, 1), undefined)
})

test('changed, shortened and foreign bytes are not decrypted', async t => {
  const keys = new EncryptionKeys(FIRST)
  const sealed = keys.encrypt(plain, 1)
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed)
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index)
    t.equal(keys.decrypt(changed, 1), undefined, `byte ${index}`)
    t.equal(keys.decrypt(sealed.subarray(0, index), 1), undefined, `${index} bytes`)
  }
  t.equal(keys.decrypt(Buffer.concat([sealed, Buffer.alloc(1)]), 1), undefined)
  t.equal(keys.decrypt(randomBytes(100), 1), undefined)
})

test('what an earlier version of the service encrypted is still decrypted', async t => {
  const sealed = Buffer.from('AVAY1ODbJZ1vw1fqqIVWDNEsfWIgUXRD3K4WrqVDC2igUq9Symm5nqvDOhDN8YVyG9wWr1M=', 'base64')
  const key = 'f1c0ffee5ea1ab1e0ddba11cafe4d00d9b3a7c5e2f816a4d7e90b3c58f1d2a64'
  t.strictSame(new EncryptionKeys(key).decrypt(sealed, 42), { plain, isOutdated: false })
})

test('a new key is 32 random bytes in base64', async t => {
  const keys = Array.from({ length: 1000 }, newEncryptionKey)
  t.strictSame(keys.filter(key => !isStrongKey(key) || Buffer.from(key, 'base64').length !== 32), [])
  t.equal(new Set(keys).size, 1000)
})
