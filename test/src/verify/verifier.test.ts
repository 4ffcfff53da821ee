import { createPublicKey } from 'node:crypto'
import { SignJWT } from 'jose'
import { test } from 'tap'
import { createVerifier, responseOf } from '../../../src/verify/verifier.ts'
import { claimsOf, createIssuer, startKeyServer } from '../../support/key-server.ts'

const invalid = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }
const unavailable = { message: 'Access tokens cannot be verified now. Please try again.', code: 'KEYS_UNAVAILABLE' }

/** A signing key, a server of it, and a verifier. */
async function start (t: Parameters<typeof startKeyServer>[0], maxAge?: number) {
  const issuer = createIssuer('ES256', 'a')
  const server = await startKeyServer(t, issuer.jwk)
  return { issuer, server, ...createVerifier({ gatehouse: server.url, audience: 'orders', maxAge }) }
}

for (const alg of ['EdDSA', 'ES256', 'RS256'] as const) {
  test(`a token signed with ${alg} is verified, and its claims are returned`, async t => {
    const { issue, jwk } = createIssuer(alg, 'a')
    const { url } = await startKeyServer(t, createIssuer('EdDSA', 'other').jwk, jwk)
    const { verify } = createVerifier({ gatehouse: url, audience: 'orders' })
    const claims = claimsOf({ roles: ['moderator', 'user'] })
    t.strictSame(await verify(await issue(claims)), { ...claims, roles: ['user', 'moderator'] })
  })
}

test('the issuer and a path in the URL of gatehouse can be chosen', async t => {
  const { issue, jwk } = createIssuer('ES256', 'a')
  const { url } = await startKeyServer(t, jwk)
  for (const gatehouse of [`${url}/auth`, `${url}/auth/`, new URL(`${url}/auth`)]) {
    const { verify } = createVerifier({ gatehouse, audience: 'orders', issuer: 'https://auth.example.com' })
    t.match(await verify(await issue({ iss: 'https://auth.example.com' })), { id: 7 })
    await t.rejects(verify(await issue()), invalid)
  }
})

test('an expired token is told from an invalid one', async t => {
  const { verify, issuer } = await start(t)
  const expired = { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' }
  const exp = Math.floor(Date.now() / 1000)
  await t.rejects(verify(await issuer.issue({ exp })), expired)
  await t.rejects(verify(await issuer.issue({ exp, aud: 'stock' })), invalid)
})

test('a token that gatehouse did not issue for this server is invalid', async t => {
  const { verify, issuer } = await start(t)
  const now = Math.floor(Date.now() / 1000)
  const claims: Array<Record<string, unknown>> = [
    { iss: 'other' }, { iss: undefined }, { aud: 'gatehouse' }, { aud: undefined }, { aud: [] },
    { exp: undefined }, { exp: '9999999999' }, { iat: undefined }, { nbf: now + 60 },
    { sub: undefined }, { id: undefined }, { id: '7' }, { roles: undefined }, { roles: 'admin' }
  ]
  for (const each of claims) await t.rejects(verify(await issuer.issue(each)), invalid, JSON.stringify(each))
  for (const header of [{ typ: 'JWT' }, { typ: undefined }, { kid: 'b' }, { kid: undefined }]) {
    await t.rejects(verify(await issuer.issue({}, header)), invalid, JSON.stringify(header))
  }
  const token = await issuer.issue()
  const [head = '', payload = '', signature = ''] = token.split('.')
  const forged = Buffer.from(JSON.stringify(claimsOf({ roles: ['admin'] }))).toString('base64url')
  const none = Buffer.from('{"alg":"none","typ":"at+jwt","kid":"a"}').toString('base64url')
  for (const text of [
    '', 'garbage', 'a.b.c', `${token}x`, `${head}.${payload}`, `${head}.${payload}.`, `${head}.${forged}.${signature}`,
    `${none}.${payload}.`
  ]) await t.rejects(verify(text), invalid, text)
  await t.rejects(verify(await createIssuer('ES256', 'a').issue()), invalid, 'another key with the same id')
})

test('a public key is not accepted as a secret', async t => {
  const { verify, issuer: { jwk } } = await start(t)
  const secret = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const token = await new SignJWT(claimsOf()).setProtectedHeader({ alg: 'HS256', kid: 'a', typ: 'at+jwt' })
    .sign(Buffer.from(secret))
  await t.rejects(verify(token), invalid)
})

test('the access requires a role, which the policies of gatehouse name', async t => {
  const { verify, issuer } = await start(t)
  const user = await issuer.issue()
  const admin = await issuer.issue({ roles: ['admin'] })
  t.match(await verify(user, 'signed-in'), { roles: ['user'] })
  t.match(await verify(admin, 'admin'), { roles: ['admin'] })
  t.match(await verify(admin, 'moderator or admin'), { roles: ['admin'] })
  await t.rejects(verify(user, 'admin'), { message: 'Require Admin Role!', code: 'ADMIN_REQUIRED' })
  await t.rejects(verify(admin, 'moderator'), { message: 'Require Moderator Role!', code: 'MODERATOR_REQUIRED' })
  await t.rejects(verify(user, 'moderator or admin'), { code: 'MODERATOR_OR_ADMIN_REQUIRED' })
})

test('an unknown role grants nothing, and does not make a token invalid', async t => {
  const { verify, issuer } = await start(t)
  t.match(await verify(await issuer.issue({ roles: ['user', 'auditor', 'ADMIN', 3] })), { roles: ['user'] })
})

test('without keys no token is accepted, and none is called invalid', async t => {
  const { verify, server, issuer } = await start(t, 0)
  const token = await issuer.issue()
  for (const [status, text] of [[500, ''], [302, ''], [200, 'no JSON'], [200, '[]'], [200, '{"keys":[{}, 1]}']] as const) {
    server.respond(status, text)
    await t.rejects(verify(token), unavailable, `${status} ${text}`)
  }
  server.respond(200, JSON.stringify({ keys: [{ ...issuer.jwk, x: 'AA' }] }))
  await t.rejects(verify(token), unavailable, 'a damaged key')
  server.publish()
  await t.rejects(verify(token), unavailable, 'no keys: gatehouse runs without JWT_KEYS_FILE')
  await server.close()
  await t.rejects(verify(token), unavailable, 'no connection')
  await t.rejects(verify('garbage'), invalid, 'what is no token needs no key')
})

test('keys are fetched once for several tokens, and stay valid while gatehouse is unreachable', async t => {
  const { verify, server, issuer } = await start(t)
  const token = await issuer.issue()
  await Promise.all([verify(token), verify(token), verify(await issuer.issue())])
  t.equal(server.requests(), 1)
  await server.close()
  t.match(await verify(token), { id: 7 })
})

test('after maxAge the keys are fetched again: added ones verify, and removed ones no longer do', async t => {
  const { verify, server, issuer } = await start(t, 0)
  const fresh = createIssuer('EdDSA', 'b')
  await t.rejects(verify(await fresh.issue()), invalid)
  server.publish(issuer.jwk, fresh.jwk)
  t.match([await verify(await fresh.issue()), await verify(await issuer.issue())], [{ id: 7 }, { id: 7 }])
  server.publish(fresh.jwk)
  await t.rejects(verify(await issuer.issue()), invalid)
})

test('a token of an unknown key does not make every request fetch the keys', async t => {
  const { verify, server } = await start(t)
  const { issue } = createIssuer('ES256', 'unknown')
  for (let count = 0; count < 20; count++) await t.rejects(verify(await issue()), invalid)
  t.equal(server.requests(), 1)
})

test('loading the keys tells what is wrong with the configuration', async t => {
  const { loadKeys, server, issuer } = await start(t)
  await loadKeys()
  server.publish()
  const path = `${server.url}/.well-known/jwks.json`
  await t.rejects(loadKeys(), { message: `gatehouse publishes no key at ${path}. Start it with JWT_KEYS_FILE.` })
  server.respond(404, JSON.stringify({ keys: [issuer.jwk] }))
  await t.rejects(loadKeys(), {
    message: `The keys of gatehouse could not be fetched from ${path}: Expected 200 OK from the JSON Web Key Set HTTP response`
  })
  await server.close()
  await t.rejects(loadKeys(), { message: /could not be fetched from .*: (connect ECONNREFUSED|other side closed)/ })
})

test('a verifier requires an audience, or it would accept the tokens for every server', async t => {
  const message = 'The verifier requires an audience: the name of this server in JWT_AUDIENCES.'
  t.throws(() => createVerifier({ gatehouse: 'http://localhost:8080', audience: '' }), { message })
  t.throws(() => createVerifier(JSON.parse('{"gatehouse":"http://localhost:8080"}') as { gatehouse: string, audience: string }), { message })
  t.throws(() => createVerifier({ gatehouse: 'localhost', audience: 'orders' }), { code: 'ERR_INVALID_URL' })
})

test('an error of the verifier has a response, and any other error is an internal one', async t => {
  const { verify, server } = await start(t)
  const responseTo = async (token: string) => responseOf(await verify(token).catch((error: unknown) => error))
  t.strictSame(await responseTo('garbage'), { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: invalid })
  await server.close()
  t.strictSame(await responseTo(await createIssuer('ES256', 'a').issue()),
    { status: 503, headers: { 'retry-after': '1' }, body: unavailable })
  t.strictSame(responseOf(new Error('a secret')),
    { status: 500, headers: {}, body: { message: 'Internal server error.', code: 'INTERNAL' } })
})
