import { createHash } from 'node:crypto'
import { test } from 'tap'
import { sha256 } from '../../../src/tokens/sha256.ts'

test('what is stored of a secret is its SHA-256, base64url', async t => {
  t.equal(sha256('abc'), createHash('sha256').update('abc').digest('base64url'))
})
