import { test } from 'tap'
import { loadArgon2 } from '../../../src/passwords/argon2.ts'
import { needsRehash } from '../../../src/passwords/hash-cost.ts'
import { readHash } from '../../../src/passwords/read-hash.ts'
import { wrapBcrypt } from '../../../src/passwords/wrapped-bcrypt.ts'

const argon2 = await loadArgon2()
const cost = { memory: 1024, time: 1, parallelism: 1 }

/** Whether a stored hash is of a password; undefined if the hash has no known format. */
const verify = async (hash: string, password: string) => await readHash(hash)?.verify(password, argon2)

const PASSWORD = 'correct horse'
const BCRYPT = '$2a$04$8pGojtGp1xXYAZzfCtRjcOKGBtxGW9lUyVUu2hLCogblbm4OpKNa2'
const PYTHON = '$2y$04$3yElRrg.wQMBd8APg43IvOtDE7Ul.O2ux5LBNeoPeO2bxexCCTVui'
const WRAPPED = await wrapBcrypt(BCRYPT, argon2, cost)

// Each was made by the library that it names.
const vectors: Array<[library: string, format: string, hash: string, password: string]> = [
  ['bcryptjs 2.4.3', 'bcrypt', BCRYPT, PASSWORD],
  ['bcryptjs 2.4.3, cost 8', 'bcrypt', '$2a$08$W8hew1Uf83htLbGdd3lufOuQHrIL9Au/qWu7Yuy8DnSI67GtcazZW', PASSWORD],
  ['bcryptjs 2.4.3, beyond ASCII', 'bcrypt',
    '$2a$04$IHk78l89dQuEXn0fVXm3ner.SzwHD2WLiRO3nK2XUzBYxZ9kPOV0O', 'Zoë hört Händel'],
  ['the manual of PHP', 'bcrypt', '$2a$07$usesomesillystringfore2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi', 'rasmuslerdorf'],
  ['bcrypt 5.0.0 of Python', 'bcrypt', PYTHON, PASSWORD],
  ['passlib 1.7.4', 'pbkdf2', '$pbkdf2$1000$LcV4rxWiVOpdKyUkJISQcg$SLr8gBk4DkbV6jyL8NQg5Wlcahw', PASSWORD],
  ['passlib 1.7.4', 'pbkdf2',
    '$pbkdf2-sha256$1000$b43ROqfU.l8rRei9d46xdg$.nUOVbw/bDajkuWx.H0CvNTkxW55Rl5/1P9x4l6hxRU', PASSWORD],
  ['passlib 1.7.4, beyond ASCII', 'pbkdf2',
    '$pbkdf2-sha256$1000$by2FEELIubd2rvX.X4txDg$JeDFVBiXqJKKfaQEJzVSszZuqzm.W70.nnNVhIWRzlk', 'Zoë hört'],
  ['passlib 1.7.4', 'pbkdf2', '$pbkdf2-sha512$1000$RSjF.P/fG.O8V8o5h/AeQw$' +
    'ZSkq2QKaB0ejSI82abRB6VJE4gMecZd74GfRLbmlZaWRDQt4qIRu13WWgsNyajP05PPMgJM06bjgDCL6fB0saQ', PASSWORD],
  ['@phc/pbkdf2 1.1.14', 'pbkdf2', '$pbkdf2-sha512$i=1000$b2lpwV4GN2wLoNn99mUQDQ$' +
    '6CplYdzJH5pMbn/pUwLS5N5wY3FqlKVg4oUd+WuaaWEv2I+PUBEoUsg0iAqOnv5789cxApqqhitQoZevtlI2IQ', PASSWORD],
  ['RFC 7914 §11, two blocks, with the length and padding', 'pbkdf2', '$pbkdf2-sha256$i=1,l=64$c2FsdA==$' +
    'VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw==', 'passwd'],
  ['passlib 1.7.4', 'scrypt',
    '$scrypt$ln=10,r=8,p=1$qzWGsDZmjFHqnVOKcW6NEQ$1V5r1db38HyTTtCiwrpFSDE3iFvmqnx37fufHRgoU44', PASSWORD],
  ['passlib 1.7.4, beyond ASCII', 'scrypt',
    '$scrypt$ln=10,r=8,p=1$x7gXYuz9nxPiPIfQGiMkhA$twmx++t9xCDACz/bqR58rw9ZHV/Y9DGB9G51SbPZuT4', 'Zoë hört'],
  ['RFC 7914 §12', 'scrypt', '$scrypt$ln=10,r=8,p=16$TmFDbA$' +
    '/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA', 'password'],
  ['wrapBcrypt', 'argon2id-bcrypt', WRAPPED, PASSWORD],
  ['wrapBcrypt, of $2y$', 'argon2id-bcrypt', await wrapBcrypt(PYTHON, argon2, cost), PASSWORD],
  ['@node-rs/argon2', 'argon2id', await argon2.hash(PASSWORD, cost), PASSWORD]
]

for (const [library, format, hash, password] of vectors) {
  test(`${format} by ${library}: the right password matches, and no other`, async t => {
    const read = readHash(hash)
    t.strictSame([read?.format, read?.isRunnable], [format, true])
    const given = [password, `${password}x`, password.slice(1), '']
    t.strictSame(await Promise.all(given.map(async each => await verify(hash, each))), [true, false, false, false])
    t.equal(needsRehash(hash, cost), format !== 'argon2id')
  })
}

test('a wrapped hash has the notation of migration 0004, and does not contain the bcrypt hash', async t => {
  t.match(WRAPPED,
    /^\$argon2id-bcrypt\$2a\$04\$8pGojtGp1xXYAZzfCtRjcO\$v=19\$m=1024,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
  t.notMatch(WRAPPED, 'KGBtxGW9lUyVUu2hLCogblbm4OpKNa2')
})

test('of a password, bcrypt counts the first 72 bytes, as in the library that wrote the hash', async t => {
  // By bcryptjs 2.4.3, of 100 times "x" and of 40 times "é", which has two bytes.
  const letters = '$2a$04$sGQczMiB.fRP5auyAeeCyOpXsPUd9pDT7HdqFfYSl21isQNVC.NrO'
  const accents = '$2a$04$0J2yuGz89IBrSWz65aTnpuwPA4wrzY83MrrzM8cGvFnUxw10i2zfO'
  for (const [hash, letter, most] of [[letters, 'x', 72], [accents, 'é', 36]] as const) {
    for (const stored of [hash, await wrapBcrypt(hash, argon2, cost)]) {
      const matches = [256, most, most - 1].map(async length => await verify(stored, letter.repeat(length)))
      t.strictSame(await Promise.all(matches), [true, true, false], stored)
    }
  }
})

test('a NUL does not end a password', async t => {
  // By bcryptjs 2.4.3.
  const hash = '$2a$04$AQlPU80g6LSxaLhbDJL.Pefaiou7aj6ED7dRgdjit2/YML6tVZVCG'
  t.strictSame([await verify(hash, 'ab\0cd'), await verify(hash, 'ab'), await verify(hash, 'ab\0ce')], [true, false, false])
})

const KEY = 'A'.repeat(43)

test('hashes are verified up to the limits of their cost', async t => {
  const bcrypt = (rounds: number) => BCRYPT.replace('$04$', `$${rounds}$`)
  const wrapped = (rounds: number) => WRAPPED.replace('$04$', `$${rounds}$`)
  const table: Array<[hash: string, isRunnable: boolean]> = [
    [bcrypt(15), true],
    [bcrypt(16), false],
    [bcrypt(31), false],
    [wrapped(15), true],
    [wrapped(16), false],
    [WRAPPED.replace('m=1024', 'm=262145'), false],
    [`$pbkdf2-sha256$i=5000000$c2FsdA$${KEY}`, true],
    [`$pbkdf2-sha256$i=5000001$c2FsdA$${KEY}`, false],
    [`$pbkdf2-sha256$i=2500000$c2FsdA$${KEY}A`, true],
    [`$pbkdf2-sha256$i=2500001$c2FsdA$${KEY}AA`, false],
    [`$pbkdf2$i=2500001$c2FsdA$${KEY}`, false],
    [`$scrypt$ln=18,r=8,p=4$c2FsdA$${KEY}`, true],
    [`$scrypt$ln=18,r=8,p=5$c2FsdA$${KEY}`, false],
    [`$scrypt$ln=18,r=9,p=1$c2FsdA$${KEY}`, false],
    [`$scrypt$ln=99,r=9,p=1$c2FsdA$${KEY}`, false],
    [`$scrypt$ln=14,r=8,p=64$c2FsdA$${KEY}`, true],
    [`$scrypt$ln=14,r=8,p=65$c2FsdA$${KEY}`, false]
  ]
  for (const [hash, isRunnable] of table) t.equal(readHash(hash)?.isRunnable, isRunnable, hash)
})

test('Node.js computes every scrypt hash within the limits', async t => {
  for (const parameters of ['ln=18,r=8,p=1', 'ln=1,r=1,p=262144', 'ln=15,r=1,p=1', 'ln=1,r=65536,p=1']) {
    const hash = `$scrypt$${parameters}$c2FsdA$${KEY}`
    t.equal(readHash(hash)?.isRunnable, true)
    t.equal(await verify(hash, PASSWORD), false, parameters)
  }
})

const unknown: Record<string, string> = {
  nothing: '',
  'the faulty bcrypt of old PHP': BCRYPT.replace('$2a$', '$2x$'),
  'the first bcrypt': BCRYPT.replace('$2a$', '$2$'),
  'bcrypt below its lowest cost': BCRYPT.replace('$04$', '$03$'),
  'bcrypt above its highest cost': BCRYPT.replace('$04$', '$32$'),
  'bcrypt with unused bits in the salt': BCRYPT.replace('cOKG', 'cPKG'),
  'bcrypt with unused bits in the key': BCRYPT.replace(/2$/, '3'),
  'bcrypt with a line break behind it': `${BCRYPT}\n`,
  'wrapped bcrypt without argon2id': WRAPPED.slice(0, 45),
  'wrapped bcrypt without a salt of bcrypt': WRAPPED.replace('8pGojtGp1xXYAZzfCtRjcO', ''),
  'PBKDF2 with an unknown digest': `$pbkdf2-sha3$i=1000$c2FsdA$${KEY}`,
  'PBKDF2 without iterations': `$pbkdf2-sha256$i=0$c2FsdA$${KEY}`,
  'PBKDF2 with a length that its key does not have': `$pbkdf2-sha256$i=1000,l=33$c2FsdA$${KEY}`,
  'PBKDF2 with a key below 16 bytes': '$pbkdf2-sha256$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAA',
  'PBKDF2 with a key above 128 bytes': `$pbkdf2-sha256$i=1000$c2FsdA$${KEY.repeat(4)}`,
  'PBKDF2 by Django': 'pbkdf2_sha256$1000$salt$AAAA',
  'scrypt in another order': `$scrypt$r=8,ln=10,p=1$c2FsdA$${KEY}`,
  'scrypt with too large an N for its block size': `$scrypt$ln=16,r=1,p=1$c2FsdA$${KEY}`,
  'scrypt without a key': '$scrypt$ln=10,r=8,p=1$c2FsdA$'
}

for (const [title, hash] of Object.entries(unknown)) {
  test(`a stored hash has no known format that is: ${title}`, async t => {
    t.equal(readHash(hash), undefined)
  })
}
