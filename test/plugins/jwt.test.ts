import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import { jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { test, type Test } from 'tap'
import { SECRET, startApp, type TestApp } from '../support/app.ts'
import { sessionEntry } from '../support/session.ts'
import { shareApp } from '../support/shared-app.ts'

const HOUR = 3600

const base64url = (data: string | Buffer): string => Buffer.from(data).toString('base64url')

/** Objects become JSON. A text is taken as it is, for what JSON.stringify cannot write. */
const part = (value: unknown): string => base64url(typeof value === 'string' ? value : JSON.stringify(value))

const hmac = (hash: string, secret: string | Buffer, input: string): string =>
  createHmac(hash, secret).update(input).digest('base64url')

const HEADER = { alg: 'HS256', typ: 'at+jwt' }

/** A signed token with any content. */
function token (header: unknown, payload: unknown, { secret = SECRET, hash = 'sha256' }: { secret?: string | Buffer, hash?: string } = {}): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${hmac(hash, secret, input)}`
}

interface Claims extends Record<string, unknown> {
  id: number
  sub: string
  sid: string
  iat: number
  exp: number
}

const partsOf = (text: string): [string, string, string] => {
  const [header = '', payload = '', signature = ''] = text.split('.')
  return [header, payload, signature]
}

const read = <T>(encoded: string): T => JSON.parse(Buffer.from(encoded, 'base64url').toString()) as T

/** A signed-in user, and the parts of the user's access token, which forgeries differ from in one point. */
async function signedIn (t: Test, overrides: Parameters<typeof startApp>[1] = {}) {
  const service = await shareApp(t, overrides)
  await service.signUp('alice')
  const { id, accessToken } = await service.signIn('alice')
  const [header, payload, signature] = partsOf(accessToken)
  return { service, id, accessToken, header, payload, signature, claims: read<Claims>(payload) }
}

/** Presents a token at the test endpoint for signed-in users. */
const present = async ({ get }: TestApp, accessToken: string) => await get('/api/test/user', { 'x-access-token': accessToken })

/** Sets the clock while an action runs. */
async function at<T> (t: Test, moment: number, action: () => Promise<T>): Promise<T> {
  const restore = t.intercept(Date, 'now', { value: () => moment }).restore
  try {
    return await action()
  } finally {
    restore()
  }
}

test('an access token has the claims of RFC 9068', async t => {
  const { service, id, header, claims } = await signedIn(t)
  const now = Math.floor(Date.now() / 1000)
  t.strictSame(read(header), HEADER)
  const { sid, iat, exp, jti, auth_time: authTime, ...rest } = claims
  t.match(jti, /^[0-9a-f-]{36}$/)
  t.strictSame(rest, { sub: String(id), id, roles: ['user'], amr: ['pwd'], iss: 'gatehouse', aud: 'gatehouse' })
  t.strictSame(await service.sql(`SELECT id, user_id::int, floor(extract(epoch FROM authenticated_at))::int AS authenticated
    FROM refresh_tokens`), [{ id: sid, user_id: id, authenticated: authTime }])
  t.ok(iat <= now && iat >= now - 10)
  t.equal(exp - iat, HOUR)
})

test('the roles in an access token are those of the user', async t => {
  const service = await shareApp(t)
  await service.signUp('carol', ['user', 'moderator', 'admin'])
  const { accessToken } = await service.signIn('carol')
  t.strictSame(read<Claims>(partsOf(accessToken)[1])['roles'], ['user', 'moderator', 'admin'])
})

test('issuer, audience and lifetime follow the settings', async t => {
  const { service, accessToken, claims } = await signedIn(t, {
    JWT_ISSUER: 'https://auth.example.com', JWT_AUDIENCE: 'the shop', ACCESS_TOKEN_TTL: 90
  })
  t.equal(claims['iss'], 'https://auth.example.com')
  t.equal(claims['aud'], 'the shop')
  t.equal(claims.exp - claims.iat, 90)
  t.equal((await present(service, accessToken)).status, 200)
})

test('no access token outlives its session', async t => {
  const { service, claims } = await signedIn(t, { REFRESH_TOKEN_TTL: 600 })
  t.ok(claims.exp - claims.iat <= 600)
  t.ok(claims.exp - claims.iat >= 598)
  const [session] = await service.sql<{ ends: number }>('SELECT floor(extract(epoch FROM expires_at))::int AS ends FROM refresh_tokens')
  t.equal(claims.exp, session?.ends)
  const issued = service.app.accessTokens.issue(sessionEntry({ expiresAt: new Date(Date.now() + 5000) }))
  t.ok(read<Claims>(partsOf(issued)[1]).exp * 1000 <= Date.now() + 5000)
})

test('other libraries accept the access token', async t => {
  const { accessToken, claims } = await signedIn(t)
  const expected = { issuer: 'gatehouse', audience: 'gatehouse' }
  t.strictSame(jsonwebtoken.verify(accessToken, SECRET, { ...expected, algorithms: ['HS256'] }), claims)
  const { payload, protectedHeader } = await jwtVerify(accessToken, Buffer.from(SECRET),
    { ...expected, algorithms: ['HS256'], typ: 'at+jwt', requiredClaims: ['sub', 'sid', 'iat', 'exp'] })
  t.strictSame(payload, claims)
  t.strictSame(protectedHeader, HEADER)
})

test('a token that another service signed with the secret is valid, whatever further claims it has', async t => {
  const { service, claims } = await signedIn(t)
  const now = Math.floor(Date.now() / 1000)
  const table: Record<string, string> = {
    'the same claims': token(HEADER, claims),
    'the header\'s fields in the other order': token({ typ: 'at+jwt', alg: 'HS256' }, claims),
    'the type as a media type (RFC 9068 §2.1)': token({ ...HEADER, typ: 'application/at+jwt' }, claims),
    'further claims': token(HEADER, { ...claims, jti: 'x', scope: 'all' }),
    'a past nbf': token(HEADER, { ...claims, nbf: claims.iat }),
    'several audiences': token(HEADER, { ...claims, aud: ['another', 'gatehouse'] }),
    'no roles': token(HEADER, { ...claims, roles: [] }),
    'a clock half a minute ahead': token(HEADER, { ...claims, iat: now + 30 })
  }
  for (const [title, text] of Object.entries(table)) {
    const { status, body } = await present(service, text)
    t.strictSame({ status, body }, { status: 200, body: 'User Content.' }, title)
  }
})

test('every forged, unusual or malformed access token is rejected with the same response', async t => {
  const { service, accessToken, header, payload, signature, claims } = await signedIn(t)
  t.equal((await present(service, accessToken)).status, 200)

  const now = Math.floor(Date.now() / 1000)
  const other = 'another secret, as long as the one of the tests'
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const hs = (changes: Record<string, unknown>) => token({ ...HEADER, ...changes }, claims)
  const having = (changes: Record<string, unknown>) => token(HEADER, { ...claims, ...changes })
  const lacking = (...names: string[]) =>
    token(HEADER, Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name))))
  /** A token whose payload has one claim in a form that JSON.stringify does not write. */
  const written = (name: string, json: string) => token(HEADER, JSON.stringify({ ...claims, [name]: '?' }).replace('"?"', json))
  const rs256 = (head: Record<string, unknown>) => {
    const input = `${part(head)}.${payload}`
    return `${input}.${createSign('sha256').update(input).sign(rsa.privateKey, 'base64url')}`
  }
  const flip = (text: string) => text.replace(/^./, first => first === 'A' ? 'B' : 'A')
  /** A signature whose last character differs only in its two unused bits. */
  const unusedBits = (by: number) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.slice(-1)) + by]
  }

  const bad: Record<string, string> = {
    // the algorithm
    'alg none, unsigned': `${part({ ...HEADER, alg: 'none' })}.${payload}.`,
    'alg None, unsigned': `${part({ ...HEADER, alg: 'None' })}.${payload}.`,
    'alg NONE, unsigned': `${part({ ...HEADER, alg: 'NONE' })}.${payload}.`,
    'alg nOnE, unsigned': `${part({ ...HEADER, alg: 'nOnE' })}.${payload}.`,
    'alg none, unsigned, without the last dot': `${part({ ...HEADER, alg: 'none' })}.${payload}`,
    'alg none, with the signature of the real token': `${part({ ...HEADER, alg: 'none' })}.${payload}.${signature}`,
    'alg none, signed': hs({ alg: 'none' }),
    'alg empty': hs({ alg: '' }),
    'alg null': hs({ alg: null }),
    'alg a number': hs({ alg: 256 }),
    'alg a list': hs({ alg: ['HS256'] }),
    'alg missing': token({ typ: 'at+jwt' }, claims),
    'alg unknown': hs({ alg: 'HS1' }),
    'alg in lower case': hs({ alg: 'hs256' }),
    'alg the name of an inherited property': hs({ alg: 'constructor' }),
    'HS384 with the right secret': token({ ...HEADER, alg: 'HS384' }, claims, { hash: 'sha384' }),
    'HS512 with the right secret': token({ ...HEADER, alg: 'HS512' }, claims, { hash: 'sha512' }),
    'HS384 in the header of an HS256 signature': hs({ alg: 'HS384' }),
    'RS256 in the header of an HMAC': hs({ alg: 'RS256' }),
    'RS256 of an unknown key': rs256({ ...HEADER, alg: 'RS256' }),
    'RS256 of an unknown key in the header': rs256({ ...HEADER, alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }),
    'ES256 in the header': hs({ alg: 'ES256' }),
    'EdDSA in the header': hs({ alg: 'EdDSA' }),

    // the key
    'another secret': token(HEADER, claims, { secret: other }),
    'an empty secret': token(HEADER, claims, { secret: '' }),
    'the secret without its last letter': token(HEADER, claims, { secret: SECRET.slice(0, -1) }),
    'a public key as the secret': token(HEADER, claims, { secret: rsa.publicKey.export({ type: 'spki', format: 'pem' }) }),
    'kid a path to an empty file': token({ ...HEADER, kid: '../../../../dev/null' }, claims, { secret: '' }),
    'kid a statement': token({ ...HEADER, kid: "x' UNION SELECT 'k" }, claims, { secret: 'k' }),
    'kid a command': token({ ...HEADER, kid: '|cat /etc/passwd' }, claims, { secret: other }),
    'jwk with the forger\'s secret': token({ ...HEADER, jwk: { kty: 'oct', k: base64url(other) } }, claims, { secret: other }),
    'jku of the forger': token({ ...HEADER, jku: 'http://127.0.0.1:1/keys', kid: '1' }, claims, { secret: other }),
    'x5u of the forger': token({ ...HEADER, x5u: 'http://127.0.0.1:1/cert' }, claims, { secret: other }),
    'x5c of the forger': token({ ...HEADER, x5c: [base64url(other)] }, claims, { secret: other }),

    // the header
    'typ missing': token({ alg: 'HS256' }, claims),
    'typ of any JWT': hs({ typ: 'JWT' }),
    'typ of a refresh token': hs({ typ: 'rt+jwt' }),
    'typ null': hs({ typ: null }),
    'typ a list': hs({ typ: ['at+jwt'] }),
    'typ with a space': hs({ typ: 'at+jwt ' }),
    'crit of an unknown extension': hs({ crit: ['exp2'], exp2: 1 }),
    'crit of b64': hs({ crit: ['b64'], b64: false }),
    'crit empty': hs({ crit: [] }),
    'crit null': hs({ crit: null }),
    'crit a text': hs({ crit: 'alg' }),
    'crit of a registered name': hs({ crit: ['alg'] }),
    'a header that is null': token('null', claims),
    'a header that is a list': token([HEADER], claims),
    'a header that is a text': token('"HS256"', claims),
    'a header that is not JSON': token('{', claims),
    'an empty header': token('', claims),

    // the claims
    'a tampered payload': `${header}.${part({ ...claims, roles: ['admin'] })}.${signature}`,
    'exp missing': lacking('exp'),
    'exp a text': having({ exp: String(claims.exp) }),
    'exp 1e400': written('exp', '1e400'),
    'exp a fraction': having({ exp: claims.exp + 0.5 }),
    'exp beyond whole numbers': written('exp', '9007199254740993'),
    'exp null': having({ exp: null }),
    'exp true': having({ exp: true }),
    'exp a list': having({ exp: [claims.exp] }),
    'exp an object': having({ exp: {} }),
    'nbf in the future': having({ nbf: now + HOUR }),
    'nbf a text': having({ nbf: String(now) }),
    'nbf 1e400': written('nbf', '1e400'),
    'iat in the future': having({ iat: now + 120 }),
    'iat missing': lacking('iat'),
    'iat a text': having({ iat: String(now) }),
    'iat a fraction': having({ iat: now - 0.5 }),
    'iat negative': having({ iat: -1 }),
    'iat null': having({ iat: null }),
    'iss missing': lacking('iss'),
    'iss of another service': having({ iss: 'gatecrasher' }),
    'iss in another case': having({ iss: 'Gatehouse' }),
    'iss a list': having({ iss: ['gatehouse'] }),
    'iss null': having({ iss: null }),
    'aud missing': lacking('aud'),
    'aud of another service': having({ aud: 'another' }),
    'aud a list without this service': having({ aud: ['another'] }),
    'aud an empty list': having({ aud: [] }),
    'aud an object': having({ aud: { gatehouse: true } }),
    'sub missing': lacking('sub'),
    'sub empty': having({ sub: '' }),
    'sub a number': having({ sub: claims.id }),
    'id missing': lacking('id'),
    'id a text': having({ id: String(claims.id) }),
    'id 0': having({ id: 0, sub: '0' }),
    'id negative': having({ id: -1, sub: '-1' }),
    'id a fraction': having({ id: 1.5, sub: '1.5' }),
    'id 1e400': written('id', '1e400'),
    'id other than sub': having({ id: claims.id + 1 }),
    'sub other than id': having({ sub: String(claims.id + 1) }),
    'sub with a leading zero': having({ sub: `0${claims.sub}` }),
    'roles missing': lacking('roles'),
    'roles a text': having({ roles: 'admin' }),
    'roles null': having({ roles: null }),
    'roles an object': having({ roles: { 0: 'user', length: 1 } }),
    'roles with an unknown one': having({ roles: ['user', 'root'] }),
    'roles as in responses': having({ roles: ['ROLE_USER'] }),
    'roles in a list of lists': having({ roles: [['user']] }),
    'sid missing': lacking('sid'),
    'sid not a UUID': having({ sid: 'session' }),
    'sid in upper case': having({ sid: claims.sid.replace(/^......../, 'ABCDEF01') }),
    'sid with a line break': having({ sid: `${claims.sid}\n` }),
    'sid a number': having({ sid: 1 }),
    'claims under __proto__ only': token(HEADER, `{"__proto__":${JSON.stringify(claims)}}`),
    'no claims': token(HEADER, {}),
    'a payload that is a list': token(HEADER, [claims]),
    'a payload that is a number': token(HEADER, 1),
    'a payload that is a text': token(HEADER, '"alice"'),
    'a payload that is null': token(HEADER, null),
    'a payload that is not JSON': token(HEADER, '{"id":'),
    'a payload that is not UTF-8': (() => {
      const input = `${header}.${base64url(Buffer.of(0x7b, 0xff, 0xfe, 0x7d))}`
      return `${input}.${hmac('sha256', SECRET, input)}`
    })(),
    'an empty payload': token(HEADER, ''),

    // the text
    'the signature of another token': `${header}.${payload}.${partsOf(having({ jti: '1' }))[2]}`,
    'a signature of zeros': `${header}.${payload}.${'A'.repeat(43)}`,
    'a changed first letter of the signature': `${header}.${payload}.${flip(signature)}`,
    'a stripped signature': `${header}.${payload}.`,
    'a stripped signature and dot': `${header}.${payload}`,
    'a short signature': `${header}.${payload}.${signature.slice(0, -1)}`,
    'a long signature': `${accessToken}A`,
    'unused bits of the signature, 1': `${header}.${payload}.${unusedBits(1)}`,
    'unused bits of the signature, 2': `${header}.${payload}.${unusedBits(2)}`,
    'unused bits of the signature, 3': `${header}.${payload}.${unusedBits(3)}`,
    'padding after the signature': `${accessToken}=`,
    'padding after the payload': `${header}.${payload}=.${signature}`,
    'a further segment at the end': `${accessToken}.${signature}`,
    'a further segment at the start': `x.${accessToken}`,
    'five segments, as an encrypted token has': `${header}.${payload}.${payload}.${payload}.${signature}`,
    'no header': `.${payload}.${signature}`,
    'no payload': `${header}..${signature}`,
    'only dots': '..',
    'one dot': '.',
    'a space inside': `${header}. ${payload}.${signature}`,
    'a space before': ` ${accessToken}`,
    'a space after': `${accessToken} `,
    'a tab inside': `${header}\t.${payload}.${signature}`,
    'the token in quotes': `"${accessToken}"`,
    'the token twice': `${accessToken},${accessToken}`,
    'with its scheme': `Bearer ${accessToken}`,
    'a letter of another script': `${header}.${payload}.é${signature.slice(1)}`,
    'an emoji': '🔑',
    'the other base64 alphabet': `${header}.${payload}.+/${signature.slice(2)}`,
    'one letter': 'x',
    null: 'null',
    undefined: 'undefined',
    'an object': '[object Object]',
    'a UUID': claims.sid,
    'a very long token': `${accessToken}${'A'.repeat(10_000)}`,
    'a very long payload, signed with another secret': token(HEADER, { ...claims, pad: 'x'.repeat(10_000) }, { secret: other }),
    'thousands of segments': 'a.'.repeat(5000)
  }
  t.ok(Object.keys(bad).length >= 35)
  for (const [title, text] of Object.entries(bad)) {
    const { status, body, headers } = await present(service, text)
    t.strictSame({ status, body, challenge: headers['www-authenticate'] }, {
      status: 401,
      body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' },
      challenge: 'Bearer'
    }, title)
  }
  t.equal((await present(service, accessToken)).status, 200)
})

const EXPIRED = {
  status: 401,
  body: { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' },
  challenge: 'Bearer'
}

test('an expired access token is rejected as expired', async t => {
  const { service, claims } = await signedIn(t)
  const now = Math.floor(Date.now() / 1000)
  for (const exp of [now - 1, now - HOUR, 1, 0, -1]) {
    const { status, body, headers } = await present(service, token(HEADER, { ...claims, exp }))
    t.strictSame({ status, body, challenge: headers['www-authenticate'] }, EXPIRED, String(exp))
  }
})

test('an expired access token of another secret is invalid, not expired', async t => {
  const { service, claims } = await signedIn(t)
  const forged = token(HEADER, { ...claims, exp: claims.iat - 1 }, { secret: 'another secret, as long as the one of the tests' })
  t.strictSame((await present(service, forged)).body, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' })
})

test('a cached access token is rejected once it has expired', async t => {
  const { service, accessToken, claims } = await signedIn(t)
  for (let time = 0; time < 3; time++) t.equal((await present(service, accessToken)).status, 200)
  const end = claims.exp * 1000
  t.equal((await at(t, end - 1, async () => await present(service, accessToken))).status, 200)
  const { status, body, headers } = await at(t, end + 1, async () => await present(service, accessToken))
  t.strictSame({ status, body, challenge: headers['www-authenticate'] }, EXPIRED)
})

test('an access token from a clock too far ahead becomes valid at that time', async t => {
  const { service, claims } = await signedIn(t)
  const early = token(HEADER, { ...claims, iat: claims.iat + 1000 })
  t.equal((await present(service, early)).status, 401)
  t.equal((await at(t, (claims.iat + 1000) * 1000, async () => await present(service, early))).status, 200)
})

test('a cached access token is rejected once the clock is set back to before it was issued', async t => {
  const { service, accessToken, claims } = await signedIn(t)
  t.equal((await present(service, accessToken)).status, 200)
  const past = await at(t, (claims.iat - 24 * HOUR) * 1000, async () => await present(service, accessToken))
  t.strictSame([past.status, past.body], [401, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }])
  t.equal((await present(service, accessToken)).status, 200)
})
