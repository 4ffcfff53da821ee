import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { rmSync } from 'node:fs'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { test, type Test } from 'tap'
import { algorithms } from '../../src/tokens/signing-keys.ts'
import { SECRET, startApp, type TestApp } from '../support/app.ts'
import { jwks, keyFile, privateKeys, secretsOf, toJwk, toPem } from '../support/keys.ts'
import { buildWith } from '../support/routes.ts'

type Config = NonNullable<Parameters<typeof startApp>[1]>

const OLD = 'an old secret of the tests, at least 32 bytes long'
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const GOOD = { status: 200, body: 'User Content.' }
const BAD = { status: 401, body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' } }
const EXPIRED = { status: 401, body: { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' } }

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part = ''): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString())

/** Signs without fast-jwt. */
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

/** The board for signed-in users, shown this token. */
async function show ({ get }: TestApp, accessToken: string) {
  const { status, body } = await get('/api/test/user', { 'x-access-token': accessToken })
  return { status, body }
}

/** The service with these keys, and alice with an access token; `shown` is her key's name. */
async function withKeys (t: Test, text: string, overrides: Config = {}) {
  const { file, write } = await keyFile(t, text)
  const service = await startApp(t, { JWT_KEYS_FILE: file, ...overrides })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const [header, payload] = accessToken.split('.')
  /** Writes other keys into the file and has them read. */
  const reload = (text: string) => { write(text); service.app.accessTokens.reload() }
  return { service, file, reload, accessToken, header: decode(header), claims: decode(payload) }
}

const kidOf = async (service: TestApp, index = 0): Promise<string> => {
  const { body } = await service.get('/.well-known/jwks.json')
  return Object(body).keys[index].kid
}

for (const alg of algorithms) {
  test(`${alg}: the first key signs, and says so`, async t => {
    const [first, second] = [privateKeys[alg](), privateKeys.EdDSA()]
    const { service, accessToken, header, claims } = await withKeys(t, jwks(toJwk(first, { kid: 'one' }), toJwk(second)))
    t.strictSame(header, { alg, typ: 'at+jwt', kid: 'one' })
    t.strictSame(await show(service, accessToken), GOOD)
    t.strictSame(await show(service, accessToken), GOOD, 'remembered')

    const { body } = await service.get('/.well-known/jwks.json')
    const { payload, protectedHeader } = await jwtVerify(accessToken, createLocalJWKSet(Object(body)),
      { issuer: 'gatehouse', audience: 'gatehouse', typ: 'at+jwt', algorithms: [alg] })
    t.strictSame(payload, claims)
    t.strictSame(protectedHeader, header)
  })

  test(`${alg}: a token that another service signed with the key is good, and one of another key is not`, async t => {
    const key = privateKeys[alg]()
    const { service, header, claims } = await withKeys(t, toPem(key))
    const head = { alg, typ: 'at+jwt', kid: header['kid'] }
    t.strictSame(await show(service, token(head, { ...claims, jti: '1' }, key)), GOOD)
    t.strictSame(await show(service, token({ kid: head.kid, typ: 'application/at+jwt', alg }, claims, key)), GOOD)
    t.strictSame(await show(service, token(head, { ...claims, exp: Number(claims['iat']) - 1 }, key)), EXPIRED)

    const stranger = privateKeys[alg]()
    const { kid, ...nameless } = head
    const bad: Record<string, string> = {
      'another key under the name': token(head, claims, stranger),
      'another key, expired': token(head, { ...claims, exp: 1 }, stranger),
      'a name that is not known': token({ ...head, kid: 'x' }, claims, key),
      'no name': token(nameless, claims, key),
      'a name that is null': token({ ...head, kid: null }, claims, key),
      'a name that is a list': token({ ...head, kid: [kid] }, claims, key),
      'the name of an inherited property': token({ ...head, kid: 'constructor' }, claims, key),
      'the key in the header': token({ ...head, kid: undefined, jwk: createPublicKey(stranger).export({ format: 'jwk' }) }, claims, stranger),
      'another type': token({ ...head, typ: 'JWT' }, claims, key),
      'crit of an unknown extension': token({ ...head, crit: ['x'], x: 1 }, claims, key),
      'another issuer': token(head, { ...claims, iss: 'gatecrasher' }, key),
      'another audience': token(head, { ...claims, aud: 'another' }, key),
      'no end': token(head, { ...claims, exp: undefined }, key),
      'unknown roles': token(head, { ...claims, roles: ['root'] }, key),
      'alg none': `${encode({ ...head, alg: 'none' })}.${encode(claims)}.`
    }
    for (const [title, text] of Object.entries(bad)) t.strictSame(await show(service, text), BAD, title)
  })

  test(`${alg}: no public half passes for a secret, and no algorithm for another (RFC 8725 §3.1)`, async t => {
    const key = privateKeys[alg]()
    // A secret is accepted beside the key, so that HS256 is known.
    const { service, header, claims } = await withKeys(t, toPem(key), { JWT_SECRET_ACCEPTED: [OLD] })
    const publicKey = createPublicKey(key)
    const jwk = publicKey.export({ format: 'jwk' })
    const secrets: Array<string | Buffer> = [
      publicKey.export({ type: 'spki', format: 'pem' }), publicKey.export({ type: 'spki', format: 'der' }), JSON.stringify(jwk),
      Buffer.from(jwk.x ?? jwk.n ?? '', 'base64url'), String(header['kid']), OLD, SECRET, ''
    ]
    for (const [index, secret] of secrets.entries()) {
      t.strictSame(await show(service, hmac({ ...header, alg: 'HS256' }, claims, secret)), BAD, `HS256, secret ${index}`)
      t.strictSame(await show(service, hmac(header, claims, secret)), BAD, `secret ${index} under the key's own algorithm`)
      const nameless = await show(service, hmac({ alg: 'HS256', typ: 'at+jwt' }, claims, secret))
      t.strictSame(nameless, secret === OLD ? GOOD : BAD, `without a name, secret ${index}`)
    }
    for (const other of ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS384', 'HS512', 'none', alg.toLowerCase()]) {
      if (other === alg) continue
      const input = `${encode({ ...header, alg: other })}.${encode(claims)}`
      t.strictSame(await show(service, `${input}.${signers[alg]?.(input, key).toString('base64url')}`), BAD, other)
    }
  })

  test(`${alg}: a signature has one spelling`, async t => {
    const { service, accessToken } = await withKeys(t, toPem(privateKeys[alg]()))
    const body = accessToken.slice(0, -1)
    const last = ALPHABET.indexOf(accessToken.slice(-1))
    t.equal(last % 16, 0, 'four of the last six bits are not used')
    for (let bits = 1; bits < 16; bits++) t.strictSame(await show(service, body + ALPHABET[last + bits]), BAD, String(bits))
    for (const odd of [`${accessToken}=`, `${accessToken}==`, `${accessToken}A`, `${accessToken}AA`, body, `${accessToken} `]) {
      t.strictSame(await show(service, odd), BAD)
    }
    t.strictSame(await show(service, accessToken), GOOD)
  })

  test(`${alg}: keys are added, promoted and removed while the service runs`, async t => {
    const [first, second] = [toJwk(privateKeys.EdDSA(), { kid: 'one' }), toJwk(privateKeys[alg](), { kid: 'two' })]
    const { service, reload, accessToken } = await withKeys(t, jwks(first))
    const signedIn = async () => (await service.signIn('alice')).accessToken
    const named = (text: string) => decode(text.split('.')[0])['kid']
    t.strictSame(await show(service, accessToken), GOOD)

    reload(jwks(first, second))
    t.equal(named(await signedIn()), 'one')
    reload(jwks(second, first))
    const promoted = await signedIn()
    t.equal(named(promoted), 'two')
    t.strictSame(await show(service, promoted), GOOD)
    t.strictSame(await show(service, accessToken), GOOD)

    reload(jwks(second))
    t.strictSame(await show(service, accessToken), BAD, 'it was remembered, and its key is gone')
    t.strictSame(await show(service, promoted), GOOD)

    reload(jwks(toJwk(privateKeys[alg](), { kid: 'two' })))
    t.strictSame(await show(service, promoted), BAD, 'another key under the same name')
  })
}

test('RSA keys of odd lengths have their own one spelling', async t => {
  // 257 and 258 bytes: two unused bits, and none.
  for (const modulusLength of [2056, 2064]) {
    const { service, accessToken } = await withKeys(t, toPem(generateKeyPairSync('rsa', { modulusLength }).privateKey))
    t.strictSame(await show(service, accessToken), GOOD)
    const last = ALPHABET.indexOf(accessToken.slice(-1))
    for (let bit = 1; bit < 64; bit *= 2) {
      t.strictSame(await show(service, accessToken.slice(0, -1) + ALPHABET[last ^ bit]), BAD, `${modulusLength}, bit ${bit}`)
    }
  }
})

test('with keys JWT_SECRET is good for no access token, and those of JWT_SECRET_ACCEPTED are', async t => {
  const { service, claims } = await withKeys(t, toPem(privateKeys.EdDSA()), { JWT_SECRET_ACCEPTED: [OLD] })
  const head = { alg: 'HS256', typ: 'at+jwt' }
  t.strictSame(await show(service, hmac(head, claims, SECRET)), BAD)
  t.strictSame(await show(service, hmac(head, claims, OLD)), GOOD)
  t.strictSame(await show(service, hmac(head, { ...claims, exp: 1 }, OLD)), EXPIRED)
  t.strictSame(await show(service, hmac(head, { ...claims, exp: 1 }, SECRET)), BAD)
})

test('several secrets: the first signs, all verify, and a token needs no name', async t => {
  const service = await startApp(t, { JWT_SECRET_ACCEPTED: [OLD, 'x'.repeat(32)] })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const [header = '', payload] = accessToken.split('.')
  const claims = decode(payload)
  t.strictSame(decode(header), { alg: 'HS256', typ: 'at+jwt' })
  for (const secret of [SECRET, OLD, 'x'.repeat(32)]) {
    t.strictSame(await show(service, hmac(decode(header), claims, secret)), GOOD)
    t.strictSame(await show(service, hmac(decode(header), { ...claims, exp: 1 }, secret)), EXPIRED)
    t.strictSame(await show(service, hmac({ ...decode(header), kid: '1' }, claims, secret)), BAD, 'no secret has a name')
  }
  t.strictSame(await show(service, hmac(decode(header), claims, 'y'.repeat(32))), BAD)
  service.app.accessTokens.reload()
  t.strictSame(await show(service, accessToken), GOOD, 'there is nothing to read again')
})

test('a file that is not right stops the start, without a word of its keys', async t => {
  const key = privateKeys.EdDSA()
  const { file } = await keyFile(t, jwks(toJwk(key), toJwk(key)))
  const { app, logs } = await buildWith(t, () => {}, { JWT_KEYS_FILE: file }).catch((error: Error) => ({ app: error, logs: [] }))
  t.match(app, { message: `The keys in ${file} are not right:\n  - key 2 has the kid of an earlier one` })
  t.strictSame(logs, [])
})

test('a file that is not right any more is refused when it is read again, and the old keys go on', async t => {
  const [key, other] = [privateKeys.EdDSA(), privateKeys.ES256()]
  const { service, reload, file, accessToken } = await withKeys(t, jwks(toJwk(key)))
  const kid = await kidOf(service)
  const said = () => service.logs.splice(0).filter(({ msg }) => msg.includes('keys'))
    .map(({ level, msg, kids }) => ({ level, msg, ...kids !== undefined && { kids } }))
  said()
  const denial = `JWT_KEYS_FILE was read again and refused, the keys stay as they are. The keys in ${file} are not right:\n  - `
  const cases: Array<[text: string, fault: string]> = [
    ['', 'there is no key in it: npm run keys:new makes one'],
    [jwks(toJwk(other), toJwk(key, { alg: 'RS256' })), 'key 2 says another alg than EdDSA, which it is for'],
    [JSON.stringify({ keys: [toJwk(other)] }).slice(0, -9), 'it begins like JSON and is none']
  ]
  for (const [text, fault] of cases) {
    reload(text)
    t.strictSame(said(), [{ level: 50, msg: refusal + fault }])
    t.strictSame(await show(service, accessToken), GOOD)
    t.equal(decode((await service.signIn('alice')).accessToken.split('.')[0])['kid'], kid)
  }
  rmSync(file)
  service.app.accessTokens.reload()
  t.strictSame(said(), [{ level: 50, msg: `${denial}it cannot be read: ENOENT` }])

  reload(jwks(toJwk(other, { kid: 'next' }), toJwk(key)))
  t.strictSame(said(), [{ level: 30, msg: `read the keys of ${file}: the first signs`, kids: ['next', kid] }])
  t.strictSame(await show(service, accessToken), GOOD)
})

test('no private half is ever logged or answered', async t => {
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
    return { status, body: Object(body).refreshToken ?? body }
  }
  const expected = await successor(before)
  t.equal(expected.status, 200)

  const [next, refresh] = ['the next secret, as long as the first one', 'a secret for refresh tokens alone']
  const ed = toPem(privateKeys.EdDSA())
  const steps: Record<string, TestApp> = {
    'another JWT_SECRET': await run({ JWT_SECRET: next, JWT_SECRET_ACCEPTED: [SECRET] }),
    'keys instead of JWT_SECRET for access tokens': await run({}, ed),
    'other keys': await run({}, toPem(privateKeys.RS256())),
    'a secret of their own': await run({ REFRESH_SECRET: refresh, REFRESH_SECRET_ACCEPTED: [SECRET] }, ed),
    'another secret of their own': await run({ REFRESH_SECRET: next, REFRESH_SECRET_ACCEPTED: [refresh, SECRET] }, ed),
    'the old secret as their own, another for access tokens': await run({ JWT_SECRET: next, REFRESH_SECRET: SECRET })
  }
  for (const [title, service] of Object.entries(steps)) t.strictSame(await successor(service), expected, title)

  const last = await run({ JWT_SECRET: next, REFRESH_SECRET: refresh })
  t.strictSame(await successor(last), { status: 403, body: { message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN' } })
  t.strictSame(await successor(last, (await steps['another JWT_SECRET']?.signIn('alice'))?.refreshToken), await successor(last),
    'with a secret of their own, JWT_SECRET signs none')
})

test('the published keys are the public halves, in their order', async t => {
  const keys = [privateKeys.EdDSA(), privateKeys.ES256(), privateKeys.RS256()]
  const { service, reload } = await withKeys(t, jwks(...keys.map((key, index) => toJwk(key, { kid: `key ${index}` }))))
  const expected = keys.map((key, index): JsonWebKey => ({
    ...createPublicKey(key).export({ format: 'jwk' }), kid: `key ${index}`, use: 'sig', alg: ['EdDSA', 'ES256', 'RS256'][index] ?? ''
  }))
  t.strictSame((await service.get('/.well-known/jwks.json')).body, { keys: expected })
  reload(jwks(...keys.slice(1).map(key => toJwk(key, { kid: 'a' })).slice(0, 1)))
  t.strictSame((await service.get('/.well-known/jwks.json')).body, { keys: [{ ...expected[1], kid: 'a' }] })
})
