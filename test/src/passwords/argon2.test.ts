import { test } from 'tap'
import { loadArgon2 } from '../../../src/passwords/argon2.ts'

const cost = { memory: 1024, time: 1, parallelism: 1 }

const implementations = [await loadArgon2(), await loadArgon2(async () => { throw new Error('no binary for this platform') })]

test('the fast package is used if its binary loads, and the reference implementation otherwise', async t => {
  t.strictSame(implementations.map(({ name }) => name), ['@node-rs/argon2', 'argon2'])
})

test('both packages write the same kind of hash, and each verifies the other\'s', async t => {
  for (const writer of implementations) {
    const hash = await writer.hash('correct horse', cost)
    t.match(hash, /^\$argon2id\$v=19\$m=1024,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/, writer.name)
    for (const reader of implementations) {
      t.equal(await reader.verify(hash, 'correct horse'), true, `${reader.name} verifies ${writer.name}`)
      t.equal(await reader.verify(hash, 'wrong horse'), false, `${reader.name} verifies ${writer.name}`)
    }
  }
})
