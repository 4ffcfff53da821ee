import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { rmSync } from 'node:fs'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { t as root, test, type Test } from 'tap'
import { type Algorithm, algorithms } from '../../src/tokens/signing-keys.ts'
import { property } from '../../src/unknown.ts'
import { SECRET, startApp, type TestApp } from '../support/app.ts'
import { jwks, keyFile, privateKeys, secretsOf, toJwk, toPem } from '../support/keys.ts'
import { buildWith } from '../support/routes.ts'
import { shareApp } from '../support/shared-app.ts'

type Config = NonNullable<Parameters<typeof startApp>[1]>

const OLD = 'an old secret of the tests, at least 32 bytes long'
const OTHER_ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS384', 'HS512', 'none'
]
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const VALID = { status: 200, body: 'User Content.' }
const INVALID = { status: 401, body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' } }
const EXPIRED = { status: 401, body: { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' } }

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

/** Signs without fast-jwt, which is under test. */
const signers: Record<string, (input: string, key: KeyObject) => Buffer> = {
  EdDSA: (input, key) => sign(null, Buffer.from(input), key),
  ES256: (input, key) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }),
  RS256: (input, key) => sign('sha256', Buffer.from(input), key)
}

function token (header: { alg: string } & Record<string, unknown>, claims: unknown, key: KeyObject): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signers[header.alg]?.(input, key).toString('base64url')}`
}

function hmac (header: object, claims: unknown, secret: string | Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

/** Presents a token at the test endpoint for signed-in users. */
async function present ({ get }: TestApp, accessToken: string) {
  const { status, body } = await get('/api/test/user', { 'x-access-token': accessToken })
  return { status, body }
}

/** One key of each algorithm, for the tests that do not change the file. */
const fixedKeys = Object.fromEntries(algorithms.map(alg => [alg, privateKeys[alg]()])) as Record<Algorithm, KeyObject>

const fixedFiles = new Map<Algorithm, Promise<string>>()

/** A service that the tests share, with the key of an algorithm and, beside it, an accepted secret. */
async function withFixedKey (t: Test, alg: Algorithm) {
  let file = fixedFiles.get(alg)
  if (!file) fixedFiles.set(alg, file = keyFile(root, toPem(fixedKeys[alg])).then(({ file }) => file))
  const service = await shareApp(t, { JWT_KEYS_FILE: await file, JWT_SECRET_ACCEPTED: [OLD] })
  return { key: fixedKeys[alg], service, ...await signInAlice(service) }
}

async function signInAlice (service: TestApp) {
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const [header, payload] = accessToken.split('.')
  return { accessToken, header: decode(header), claims: decode(payload) }
}

/** Starts a service with these keys, and signs in a user. */
async function withKeys (t: Test, text: string, overrides: Config = {}) {
  const { file, write } = await keyFile(t, text)
  const service = await startApp(t, { JWT_KEYS_FILE: file, ...overrides })
  /** Replaces the keys in the file and reloads them. */
  const reload = (text: string) => {
    write(text)
    service.app.accessTokens.reload()
  }
  return { service, file, reload, ...await signInAlice(service) }
}

const kidOf = async (service: TestApp, index = 0): Promise<string> => {
  const { keys } = (await service.get('/.well-known/jwks.json')).json<{ keys: Array<{ kid: string }> }>()
  return String(keys[index]?.kid)
}

for (const alg of algorithms) {
  test(`${alg}: the first key signs, and its kid is in the header`, async t => {
    const [first, second] = [privateKeys[alg](), privateKeys.EdDSA()]
    const { service, accessToken, header, claims } = await withKeys(t, jwks(toJwk(first, { kid: 'one' }), toJwk(second)))
    t.strictSame(header, { alg, typ: 'at+jwt', kid: 'one' })
    t.strictSame(await present(service, accessToken), VALID)
    t.strictSame(await present(service, accessToken), VALID, 'from the cache')

    const published = (await service.get('/.well-known/jwks.json')).json<JSONWebKeySet>()
    const { payload, protectedHeader } = await jwtVerify(accessToken, createLocalJWKSet(published),
      { issuer: 'gatehouse', audience: 'gatehouse', typ: 'at+jwt', algorithms: [alg] })
    t.strictSame(payload, claims)
    t.strictSame(protectedHeader, header)
  })

  test(`${alg}: a token that another service signed with the key is valid, and one of another key is not`, async t => {
    const { key, service, header, claims } = await withFixedKey(t, alg)
    const head = { alg, typ: 'at+jwt', kid: header['kid'] }
    t.strictSame(await present(service, token(head, { ...claims, jti: '1' }, key)), VALID)
    t.strictSame(await present(service, token({ kid: head.kid, typ: 'application/at+jwt', alg }, claims, key)), VALID)
    t.strictSame(await present(service, token(head, { ...claims, exp: Number(claims['iat']) - 1 }, key)), EXPIRED)

    const unknown = privateKeys[alg]()
    const { kid, ...withoutKid } = head
    const invalid: Record<string, string> = {
      'another key with the kid': token(head, claims, unknown),
      'another key, expired': token(head, { ...claims, exp: 1 }, unknown),
      'an unknown kid': token({ ...head, kid: 'x' }, claims, key),
      'no kid': token(withoutKid, claims, key),
      'a kid that is null': token({ ...head, kid: null }, claims, key),
      'a kid that is a list': token({ ...head, kid: [kid] }, claims, key),
      'the name of an inherited property as kid': token({ ...head, kid: 'constructor' }, claims, key),
      'the key in the header': token({ ...head, kid: undefined, jwk: createPublicKey(unknown).export({ format: 'jwk' }) }, claims, unknown),
      'another type': token({ ...head, typ: 'JWT' }, claims, key),
      'crit of an unknown extension': token({ ...head, crit: ['x'], x: 1 }, claims, key),
      'another issuer': token(head, { ...claims, iss: 'gatecrasher' }, key),
      'another audience': token(head, { ...claims, aud: 'another' }, key),
      'no exp': token(head, { ...claims, exp: undefined }, key),
      'unknown roles': token(head, { ...claims, roles: ['root'] }, key),
      'alg none': `${encode({ ...head, alg: 'none' })}.${encode(claims)}.`
    }
    for (const [title, text] of Object.entries(invalid)) t.strictSame(await present(service, text), INVALID, title)
  })

  test(`${alg}: a public key is never accepted as a secret, nor one algorithm for another (RFC 8725 §3.1)`, async t => {
    // With a secret beside the key, HS256 is in use too.
    const { key, service, header, claims } = await withFixedKey(t, alg)
    const publicKey = createPublicKey(key)
    const jwk = publicKey.export({ format: 'jwk' })
    const secrets: Array<string | Buffer> = [
      publicKey.export({ type: 'spki', format: 'pem' }), publicKey.export({ type: 'spki', format: 'der' }), JSON.stringify(jwk),
      Buffer.from(jwk.x ?? jwk.n ?? '', 'base64url'), String(header['kid']), OLD, SECRET, ''
    ]
    for (const [index, secret] of secrets.entries()) {
      t.strictSame(await present(service, hmac({ ...header, alg: 'HS256' }, claims, secret)), INVALID, `HS256, secret ${index}`)
      t.strictSame(await present(service, hmac(header, claims, secret)), INVALID, `secret ${index} with the algorithm of the key`)
      const withoutKid = await present(service, hmac({ alg: 'HS256', typ: 'at+jwt' }, claims, secret))
      t.strictSame(withoutKid, secret === OLD ? VALID : INVALID, `without a kid, secret ${index}`)
    }
    for (const other of OTHER_ALGORITHMS.filter(other => other !== alg).concat(alg.toLowerCase())) {
      const input = `${encode({ ...header, alg: other })}.${encode(claims)}`
      t.strictSame(await present(service, `${input}.${signers[alg]?.(input, key).toString('base64url')}`), INVALID, other)
    }
  })

  test(`${alg}: a signature has one valid spelling`, async t => {
    const { service, accessToken } = await withFixedKey(t, alg)
    const body = accessToken.slice(0, -1)
    const last = ALPHABET.indexOf(accessToken.slice(-1))
    // Of the last six bits, 64 bytes leave four unused and 384 bytes none.
    const spellings = alg === 'RS256' ? 1 : 16
    t.equal(last % spellings, 0)
    for (let bits = 1; bits < spellings; bits++) {
      t.strictSame(await present(service, body + ALPHABET[last + bits]), INVALID, String(bits))
    }
    const others = ['=', '==', 'A', 'AA', ' '].map(suffix => accessToken + suffix).concat(body)
    for (const other of others) t.strictSame(await present(service, other), INVALID)
    t.strictSame(await present(service, accessToken), VALID)
  })

  test(`${alg}: keys are added, promoted and removed while the service runs`, async t => {
    const [first, second] = [toJwk(privateKeys.EdDSA(), { kid: 'one' }), toJwk(privateKeys[alg](), { kid: 'two' })]
    const { service, reload, accessToken } = await withKeys(t, jwks(first))
    const signedIn = async () => (await service.signIn('alice')).accessToken
    const kidOfToken = (text: string) => decode(text.split('.')[0])['kid']
    t.strictSame(await present(service, accessToken), VALID)

    reload(jwks(first, second))
    t.equal(kidOfToken(await signedIn()), 'one')
    reload(jwks(second, first))
    const promoted = await signedIn()
    t.equal(kidOfToken(promoted), 'two')
    t.strictSame(await present(service, promoted), VALID)
    t.strictSame(await present(service, accessToken), VALID)

    reload(jwks(second))
    t.strictSame(await present(service, accessToken), INVALID, 'it was cached, and its key was removed')
    t.strictSame(await present(service, promoted), VALID)

    reload(jwks(toJwk(privateKeys[alg](), { kid: 'two' })))
    t.strictSame(await present(service, promoted), INVALID, 'another key with the same kid')
  })
}

test('signatures of RSA keys of unusual lengths have one valid spelling too', async t => {
  // 385 and 386 bytes: four unused bits, and two.
  for (const modulusLength of [3080, 3088]) {
    const { service, accessToken } = await withKeys(t, toPem(generateKeyPairSync('rsa', { modulusLength }).privateKey))
    t.strictSame(await present(service, accessToken), VALID)
    const last = ALPHABET.indexOf(accessToken.slice(-1))
    for (let bit = 1; bit < 64; bit *= 2) {
      t.strictSame(await present(service, accessToken.slice(0, -1) + ALPHABET[last ^ bit]), INVALID, `${modulusLength}, bit ${bit}`)
    }
  }
})

test('with keys, tokens of JWT_SECRET are invalid, and those of JWT_SECRET_ACCEPTED are valid', async t => {
  const { service, claims } = await withKeys(t, toPem(privateKeys.EdDSA()), { JWT_SECRET_ACCEPTED: [OLD] })
  const head = { alg: 'HS256', typ: 'at+jwt' }
  t.strictSame(await present(service, hmac(head, claims, SECRET)), INVALID)
  t.strictSame(await present(service, hmac(head, claims, OLD)), VALID)
  t.strictSame(await present(service, hmac(head, { ...claims, exp: 1 }, OLD)), EXPIRED)
  t.strictSame(await present(service, hmac(head, { ...claims, exp: 1 }, SECRET)), INVALID)
})

test('of several secrets the first signs and all verify, without a kid', async t => {
  const service = await startApp(t, { JWT_SECRET_ACCEPTED: [OLD, 'x'.repeat(32)] })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const [header = '', payload] = accessToken.split('.')
  const claims = decode(payload)
  t.strictSame(decode(header), { alg: 'HS256', typ: 'at+jwt' })
  for (const secret of [SECRET, OLD, 'x'.repeat(32)]) {
    t.strictSame(await present(service, hmac(decode(header), claims, secret)), VALID)
    t.strictSame(await present(service, hmac(decode(header), { ...claims, exp: 1 }, secret)), EXPIRED)
    t.strictSame(await present(service, hmac({ ...decode(header), kid: '1' }, claims, secret)), INVALID, 'a secret has no kid')
  }
  t.strictSame(await present(service, hmac(decode(header), claims, 'y'.repeat(32))), INVALID)
  service.app.accessTokens.reload()
  t.strictSame(await present(service, accessToken), VALID, 'there is nothing to reload')
})

test('an invalid file prevents the start, with a message that reveals no key', async t => {
  const key = privateKeys.EdDSA()
  const { file } = await keyFile(t, jwks(toJwk(key), toJwk(key)))
  await t.rejects(buildWith(t, () => {}, { JWT_KEYS_FILE: file }), { message: `Invalid keys in ${file}:\n  - key 2 has the same kid as an earlier key` })
})

test('an invalid file is not reloaded, and the current keys stay in use', async t => {
  const [key, other] = [privateKeys.EdDSA(), privateKeys.ES256()]
  const { service, reload, file, accessToken } = await withKeys(t, jwks(toJwk(key)))
  const kid = await kidOf(service)
  const newLines = () => service.logs.splice(0).filter(({ msg }) => msg.includes('keys'))
    .map(({ level, msg, kids }) => ({ level, msg, ...kids !== undefined && { kids } }))
  newLines()
  const rejection = `JWT_KEYS_FILE was not reloaded, the current keys stay in use. Invalid keys in ${file}:\n  - `
  const cases: Array<[text: string, fault: string]> = [
    ['', 'the file contains no key; add one with: gatehouse keys new'],
    [jwks(toJwk(other), toJwk(key, { alg: 'RS256' })), 'key 2 has an alg other than EdDSA, which its type requires'],
    [JSON.stringify({ keys: [toJwk(other)] }).slice(0, -9), 'the file is not valid JSON']
  ]
  for (const [text, fault] of cases) {
    reload(text)
    t.strictSame(newLines(), [{ level: 50, msg: rejection + fault }])
    t.strictSame(await present(service, accessToken), VALID)
    t.equal(decode((await service.signIn('alice')).accessToken.split('.')[0])['kid'], kid)
  }
  rmSync(file)
  service.app.accessTokens.reload()
  t.strictSame(newLines(), [{ level: 50, msg: `${rejection}the file cannot be read: ENOENT` }])

  reload(jwks(toJwk(other, { kid: 'next' }), toJwk(key)))
  t.strictSame(newLines(), [{ level: 30, msg: `loaded the keys of ${file}; the first one signs`, kids: ['next', kid] }])
  t.strictSame(await present(service, accessToken), VALID)
})

test('no private key is ever logged or sent', async t => {
  const keys = [privateKeys.EdDSA(), privateKeys.ES256(), privateKeys.RS256()]
  const { service, reload, accessToken } = await withKeys(t, jwks(...keys.map(key => toJwk(key))))
  reload(`${jwks(...keys.map(key => toJwk(key)))}}`)
  reload(keys.map(toPem).join('').replace('-----END RSA', ''))
  const { body } = await service.get('/.well-known/jwks.json')
  const all = [JSON.stringify(service.logs), JSON.stringify(body), accessToken].join()
  t.strictSame(keys.flatMap(secretsOf).filter(secret => all.includes(secret)), [])
})

test('refresh tokens outlive a change of every key and secret', async t => {
  const url = (await startApp(t)).url
  const run = async (overrides: Config, text?: string): Promise<TestApp> => await startApp(t, {
    DATABASE_URL: url, ...overrides, ...text !== undefined && { JWT_KEYS_FILE: (await keyFile(t, text)).file }
  })
  const before = await run({})
  await before.signUp('alice')
  const { refreshToken } = await before.signIn('alice')
  const successor = async (service: TestApp, token = refreshToken) => {
    const { status, body } = await service.post('/api/auth/refreshtoken', { refreshToken: token })
    return { status, body: property(body, 'refreshToken') ?? body }
  }
  const expected = await successor(before)
  t.equal(expected.status, 200)

  const [next, refresh] = ['the next secret, as long as the first one', 'a secret for refresh tokens alone']
  const ed = toPem(privateKeys.EdDSA())
  const steps: Record<string, TestApp> = {
    'another JWT_SECRET': await run({ JWT_SECRET: next, JWT_SECRET_ACCEPTED: [SECRET] }),
    'keys instead of JWT_SECRET': await run({}, ed),
    'other keys': await run({}, toPem(privateKeys.RS256())),
    'a REFRESH_SECRET': await run({ REFRESH_SECRET: refresh, REFRESH_SECRET_ACCEPTED: [SECRET] }, ed),
    'another REFRESH_SECRET': await run({ REFRESH_SECRET: next, REFRESH_SECRET_ACCEPTED: [refresh, SECRET] }, ed),
    'the old secret as REFRESH_SECRET': await run({ JWT_SECRET: next, REFRESH_SECRET: SECRET })
  }
  for (const [title, service] of Object.entries(steps)) t.strictSame(await successor(service), expected, title)

  const last = await run({ JWT_SECRET: next, REFRESH_SECRET: refresh })
  t.strictSame(await successor(last), {
    status: 403, body: { message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN' }
  })
  t.strictSame(await successor(last, (await steps['another JWT_SECRET']?.signIn('alice'))?.refreshToken), await successor(last),
    'with REFRESH_SECRET, JWT_SECRET signs no refresh token')
})

test('the public keys are published in order', async t => {
  const keys = [privateKeys.EdDSA(), privateKeys.ES256(), privateKeys.RS256()]
  const { service, reload } = await withKeys(t, jwks(...keys.map((key, index) => toJwk(key, { kid: `key ${index}` }))))
  const expected = keys.map((key, index): JsonWebKey => ({
    ...createPublicKey(key).export({ format: 'jwk' }), kid: `key ${index}`, use: 'sig', alg: ['EdDSA', 'ES256', 'RS256'][index] ?? ''
  }))
  t.strictSame((await service.get('/.well-known/jwks.json')).body, { keys: expected })
  reload(jwks(...keys.slice(1).map(key => toJwk(key, { kid: 'a' })).slice(0, 1)))
  t.strictSame((await service.get('/.well-known/jwks.json')).body, { keys: [{ ...expected[1], kid: 'a' }] })
})
