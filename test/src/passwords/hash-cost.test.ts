import argon2 from 'argon2'
import { test } from 'tap'
import { loadArgon2 } from '../../../src/passwords/argon2.ts'
import { costOf, isRunnable, MAX_COST, needsRehash } from '../../../src/passwords/hash-cost.ts'

const SALT = 'c29tZXNhbHRzb21lc2FsdA'
const TAG = 'aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g'

const phc = (memory: number | string, time: number | string, parallelism: number | string, salt = SALT, tag = TAG) =>
  `$argon2id$v=19$m=${memory},t=${time},p=${parallelism}$${salt}$${tag}`

test('the cost of a hash is read from it', async t => {
  t.strictSame(costOf(phc(19456, 2, 1)), { memory: 19456, time: 2, parallelism: 1 })
  const made = await argon2.hash('correct horse', { type: argon2.argon2id, memoryCost: 1024, timeCost: 3, parallelism: 2 })
  t.strictSame(costOf(made), { memory: 1024, time: 3, parallelism: 2 })
  t.equal(isRunnable(made), true)
})

const invalid: Record<string, string> = {
  nothing: '',
  'a password': 'correct horse',
  bcrypt: '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
  argon2i: phc(1024, 1, 1).replace('argon2id', 'argon2i'),
  argon2d: phc(1024, 1, 1).replace('argon2id', 'argon2d'),
  'an older version': phc(1024, 1, 1).replace('v=19', 'v=16'),
  'no version': phc(1024, 1, 1).replace('$v=19', ''),
  'a negative cost': phc(-1, 1, 1),
  'a cost with a fraction': phc('1024.5', 1, 1),
  'a cost in another notation': phc('1e3', 1, 1),
  'a cost of eleven digits': phc(10_000_000_000, 1, 1),
  'a leading zero': phc('01024', 1, 1),
  'further parameters': phc(1024, 1, '1,data=c29tZQ'),
  'the parameters in another order': `$argon2id$v=19$t=1,m=1024,p=1$${SALT}$${TAG}`,
  'no salt': phc(1024, 1, 1, ''),
  'no hash': phc(1024, 1, 1, SALT, ''),
  'text behind it': `${phc(1024, 1, 1)}$`,
  'a line break behind it': `${phc(1024, 1, 1)}\n`,
  'a space before it': ` ${phc(1024, 1, 1)}`,
  // argon2 throws for these (RFC 9106 §3.1), which would make a sign-in fail with 500.
  'no memory': phc(0, 1, 1),
  'no passes': phc(1024, 0, 1),
  'no lanes': phc(1024, 1, 0),
  'a salt below eight bytes': phc(1024, 1, 1, 'c29tZXNhbA'),
  'a hash below sixteen bytes': phc(1024, 1, 1, SALT, 'aGFzaGhhc2hoYXNoaGFza'),
  // @node-rs/argon2 throws for these.
  'a salt of a length that base64 does not have': phc(1024, 1, 1, 'c29tZXNhbHRzb'),
  'a salt with unused bits that are set': phc(1024, 1, 1, SALT.replace(/A$/, 'B')),
  'a hash with unused bits that are set': phc(1024, 1, 1, SALT, TAG.replace(/g$/, 'h')),
  // The length of the hash adds to the work.
  'a hash that is far too long': phc(1024, 1, 1, SALT, TAG.repeat(100)),
  'a salt that is far too long': phc(1024, 1, 1, SALT.repeat(100))
}

for (const [title, hash] of Object.entries(invalid)) {
  test(`a stored hash is not verified that is or has: ${title}`, async t => {
    t.equal(costOf(hash), undefined)
    t.equal(isRunnable(hash), false)
  })
}

test('a hash is verified up to MAX_COST and not above', async t => {
  const { memory, time, parallelism } = MAX_COST
  t.equal(isRunnable(phc(memory, time, parallelism)), true)
  t.equal(isRunnable(phc(memory + 1, time, parallelism)), false)
  t.equal(isRunnable(phc(memory, time + 1, parallelism)), false)
  t.equal(isRunnable(phc(memory, time, parallelism + 1)), false)
  t.equal(isRunnable(phc(4294967295, 4294967295, 1)), false)
})

test('a hash with too little memory for its lanes is not verified', async t => {
  t.equal(isRunnable(phc(8, 1, 1)), true)
  t.equal(isRunnable(phc(7, 1, 1)), false)
  t.equal(isRunnable(phc(31, 1, 4)), false)
  t.equal(isRunnable(phc(32, 1, 4)), true)
})

test('both packages can verify every hash that counts as runnable, at every length', async t => {
  const letters = 'A'.repeat(86)
  const fast = await loadArgon2()
  for (let salt = 11; salt <= 64; salt += 1) {
    const tag = 22 + salt
    const hash = phc(8, 1, 1, letters.slice(0, salt), letters.slice(0, tag))
    t.equal(isRunnable(hash), salt % 4 !== 1 && tag % 4 !== 1, hash)
    if (!isRunnable(hash)) continue
    t.strictSame([await fast.verify(hash, 'correct horse'), await argon2.verify(hash, 'correct horse')], [false, false])
  }
})

test('a hash needs a rehash if it has less memory or fewer passes than wanted, or is invalid', async t => {
  const wanted = { memory: 1024, time: 2, parallelism: 1 }
  const table: Array<[string, boolean]> = [
    [phc(1024, 2, 1), false],
    [phc(1023, 2, 1), true],
    [phc(1024, 1, 1), true],
    [phc(65536, 1, 1), true],
    [phc(512, 4, 1), true],
    [phc(2048, 2, 1), false],
    [phc(1024, 3, 1), false],
    [phc(1024, 2, 4), false],
    ['', true]
  ]
  for (const [hash, expected] of table) t.equal(needsRehash(hash, wanted), expected, hash)
})
