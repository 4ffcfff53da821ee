import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { isStrongSecret } from '../../../src/config/secret-strength.ts'
import { readText } from '../../support/source.ts'
import { faultsOf, OTHER_SECRET, SECRET, SECRET_EXPECTED, SERVICE } from '../../support/settings.ts'

const WEAK: Record<string, string> = {
  short: 'k3J9xQ2vLm8Rt5Yw7Zb1Nc4Hd6Gf0Sa',
  'one character': 'a'.repeat(32),
  'nine characters': 'aabbccddeeffgghhiabcdefghihgfedcba',
  'a block twice': '0123456789abcdef0123456789abcdef',
  'a block, with its last repetition cut off': 'a-password-of-mine!a-password-of-mine!a-pass',
  'an example': 'changeme-0123456789-abcdefghijklmnop',
  'a placeholder': 'YOUR-SECRET-KEY-of-at-least-32-bytes',
  'the command instead of its output': '$(openssl rand -base64 48) and something else'
}

test('a secret with next to no entropy is rejected', async t => {
  for (const [kind, secret] of Object.entries(WEAK)) {
    t.strictSame(faultsOf({ ...SERVICE, JWT_SECRET: secret }), [`JWT_SECRET must be ${SECRET_EXPECTED}`], kind)
    t.strictSame(faultsOf({ ...SERVICE, REFRESH_SECRET: secret }), [`REFRESH_SECRET must be ${SECRET_EXPECTED}`], kind)
    for (const name of ['JWT_SECRET_ACCEPTED', 'REFRESH_SECRET_ACCEPTED']) {
      t.match(faultsOf({ ...SERVICE, [name]: `${SECRET}\n${secret}` }), [new RegExp(`^${name} must be secrets, one per line`)], kind)
    }
  }
})

test('a generated secret is accepted, in base64 and in hexadecimal', async t => {
  for (const encoding of ['base64', 'base64url', 'hex'] as const) {
    const secrets = Array.from({ length: 1000 }, () => randomBytes(32).toString(encoding))
    t.strictSame(secrets.filter(secret => !isStrongSecret(secret)), [])
  }
  t.ok(isStrongSecret(OTHER_SECRET))
})

test('the example of the Kubernetes Secret does not start the service', async t => {
  const [, JWT_SECRET = ''] = /^ +JWT_SECRET: (.+)$/m.exec(readText('deploy/kubernetes/secret.example.yaml')) ?? []
  t.strictSame(faultsOf({ ...SERVICE, JWT_SECRET }), [`JWT_SECRET must be ${SECRET_EXPECTED}`])
})

test('git and Docker ignore the files with secrets that the documents have people create', async t => {
  const documents = ['README.md', 'docs/keys.md', 'examples/resource-server/README.md'].map(readText).join()
  const created = new Set(Array.from(documents.matchAll(/(?:--file |JWT_KEYS_FILE=)([\w.]+)/g), ([, name]) => name))
  t.strictSame([...created], ['keys.json'])
  const lines = (file: string) => readText(file).split('\n')
  for (const name of ['.env', 'keys*.json', '.gatehouse/', 'secret.yaml']) t.ok(lines('.gitignore').includes(name), name)
  for (const name of ['*', '**/.env*', '**/keys*.json*']) t.ok(lines('.dockerignore').includes(name), name)
})
