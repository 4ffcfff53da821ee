import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { isStrongKey } from '../../../src/config/key-strength.ts'
import { faultsOf, KEYS_EXPECTED, SERVICE } from '../../support/settings.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const KEY = randomBytes(32).toString('base64')

const WEAK: Record<string, string> = {
  '31 bytes in hexadecimal': randomBytes(31).toString('hex'),
  '31 bytes in base64': randomBytes(31).toString('base64'),
  'a passphrase': 'a passphrase of mine, of more than 32 bytes',
  'a passphrase in base64': base64('a passphrase of mine, of more than 32 bytes'),
  'a passphrase in hexadecimal': Buffer.from('a passphrase of mine, of more than 32 bytes').toString('hex'),
  'a byte that is repeated': 'ab'.repeat(32),
  'a block twice': `${'0123456789abcdef'.repeat(2)}${'0123456789abcdef'.repeat(2)}`,
  'ascending bytes': Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('hex'),
  'descending bytes': Buffer.from(Array.from({ length: 32 }, (_, index) => 250 - index)).toString('base64'),
  'an example': 'changeme+0123456789/abcdefghijklmnopqrstuvwX',
  'base64 with unused bits': `${KEY.slice(0, 40)}AAB=`,
  'base64 with too much padding': `${randomBytes(33).toString('base64')}=`,
  base64url: Buffer.from([0xfb, 0xff, ...randomBytes(30)]).toString('base64url'),
  'the command instead of its output': '$(openssl rand -base64 32)'
}

test('an encryption key with next to no entropy, or in another form, is rejected', async t => {
  for (const [kind, key] of Object.entries(WEAK)) {
    t.equal(isStrongKey(key), false, kind)
    t.strictSame(faultsOf({ ...SERVICE, ENCRYPTION_KEYS: `${KEY},${key}` }), [`ENCRYPTION_KEYS must be ${KEYS_EXPECTED}`], kind)
  }
})

test('random bytes are accepted, in base64 and in hexadecimal', async t => {
  for (const encoding of ['base64', 'hex'] as const) {
    for (const length of [32, 33, 34, 64]) {
      const keys = Array.from({ length: 500 }, () => randomBytes(length).toString(encoding))
      t.strictSame(keys.filter(key => !isStrongKey(key)), [])
    }
  }
  t.ok(isStrongKey(KEY.replace('=', '')), 'without the padding')
})
