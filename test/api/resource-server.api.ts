import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose'
import { type Test, test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import { startApp, type Tokens } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { kidOf, send } from '../support/http-client.ts'
import { until } from '../support/wait.ts'
import { root, run } from './description.ts'
import { pack } from './packed.ts'

/** A Fastify server in TypeScript, which the compiler accepts. */
const TYPED = `
import Fastify from 'fastify'
import verify, { type AccessClaims, accessTokenOf, createVerifier, responseOf } from 'gatehouse/verify'

const app = Fastify()
await app.register(verify, { gatehouse: 'http://localhost:8080', audience: 'orders', issuer: process.env['JWT_ISSUER'] })
app.get('/', { config: { access: 'moderator or admin' } }, async ({ claims }) => claims.roles.includes('admin') && claims.id + 1)
// @ts-expect-error: there is no such policy
app.get('/a', { config: { access: 'nobody' } }, async () => 'a')
// @ts-expect-error: the plugin requires an audience
await app.register(verify, { gatehouse: 'http://localhost:8080' })

const verifier = createVerifier({ gatehouse: new URL('http://localhost:8080'), audience: 'orders' })
export const claimsOf = async (request: import('node:http').IncomingMessage): Promise<AccessClaims | number> =>
  await verifier.verify(accessTokenOf(request), 'admin').catch((error: unknown) => responseOf(error).status)
`

/** Starts server.js of a folder and returns its address. */
async function startServer (t: Test, folder: string, gatehouse: string): Promise<string> {
  const child = spawn(process.execPath, ['server.js'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], GATEHOUSE: gatehouse, HOST: '127.0.0.1', PORT: '0', JWKS_MAX_AGE: '1' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += String(chunk) })
  return await until('it to listen', () => /Server listening at (http:[^"]+)/.exec(output)?.[1])
}

test('examples/resource-server, with gatehouse/verify as packed, verifies tokens with the published keys', { timeout: 180_000 }, async t => {
  const { folder, install } = await pack(t)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  await install('--omit=optional', '--ignore-scripts')
  copyFileSync(join(root, 'examples', 'resource-server', 'server.js'), join(folder, 'server.js'))

  await t.test('the package has types', async t => {
    writeFileSync(join(folder, 'typed.ts'), TYPED)
    const types = join(root, 'node_modules', '@types')
    const compiled = await run(process.execPath, [
      join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--noEmit', '--strict', '--exactOptionalPropertyTypes',
      '--module', 'nodenext', '--target', 'es2023', '--typeRoots', types, '--types', 'node', 'typed.ts'
    ], folder)
    t.strictSame(compiled, { code: 0, stdout: '', stderr: '' })
  })

  // It needs none of the server.
  for (const name of ['pg', 'argon2', 'fast-jwt', '@fastify/jwt', '@sinclair/typebox', 'nodemailer', 'ioredis']) {
    rmSync(join(folder, 'node_modules', name), { recursive: true })
  }
  const file = join(await createFolder(t), 'keys.json')
  const [old] = addKey(file, 'EdDSA')
  const { app, post, signUp, signIn } = await startApp(t, { JWT_KEYS_FILE: file, JWT_AUDIENCES: ['orders', 'stock'] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const origin = await startServer(t, folder, `http://127.0.0.1:${port}`)
  const ask = async (path: string, token?: string, method = 'GET') => {
    const { status, body } = await send(`${origin}${path}`, { method, ...token !== undefined && { token } })
    return { status, body }
  }
  const statusOf = async (path: string, token?: string) => (await ask(path, token)).status

  await signUp('ann')
  await signUp('root', ['admin'])
  const tokenOf = async (username: string, audience = 'orders') => {
    const { refreshToken } = await signIn(username)
    return (await post('/api/auth/refreshtoken', { refreshToken, audience })).json<Tokens>().accessToken
  }
  const [ann, admin] = [await tokenOf('ann'), await tokenOf('root')]
  const invalid = { status: 401, body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' } }

  await t.test('a good token is accepted', async t => {
    const { id } = decodeJwt<{ id: number }>(ann)
    t.strictSame(await ask('/'), { status: 200, body: { message: 'The public catalogue.' } })
    t.strictSame(await ask('/orders', ann), { status: 200, body: { message: `The orders of user ${id}.` } })
    t.strictSame(await ask('/stock', admin), { status: 200, body: { message: 'The items in stock.' } })
    t.strictSame(await ask('/orders/1', admin, 'DELETE'), { status: 200, body: { message: 'Order 1 was deleted.' } })
  })

  await t.test('a token for gatehouse or for another server is invalid', async t => {
    t.strictSame(await ask('/orders', (await signIn('ann')).accessToken), invalid)
    t.strictSame(await ask('/orders', await tokenOf('ann', 'stock')), invalid)
  })

  await t.test('a missing and a forged token are denied', async t => {
    t.strictSame(await ask('/orders'), { status: 403, body: { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' } })
    const [header, , signature] = ann.split('.')
    const forged = Buffer.from(JSON.stringify({ ...decodeJwt(ann), roles: ['admin'] })).toString('base64url')
    for (const token of ['garbage', `${header}.${forged}.${signature}`, `${header}.${forged}.`]) {
      t.strictSame(await ask('/orders', token), invalid)
    }
  })

  await t.test('an expired token is told from an invalid one', async t => {
    const { keys: [key = {}] } = JSON.parse(readFileSync(file, 'utf8')) as { keys: JWK[] }
    const expired = await new SignJWT({ ...decodeJwt(ann), exp: Math.floor(Date.now() / 1000) })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: kidOf(ann) }).sign(await importJWK(key, 'EdDSA'))
    t.strictSame(await ask('/orders', expired),
      { status: 401, body: { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' } })
  })

  await t.test('a role that the user lacks is denied', async t => {
    t.strictSame(await ask('/stock', ann),
      { status: 403, body: { message: 'Require Moderator or Admin Role!', code: 'MODERATOR_OR_ADMIN_REQUIRED' } })
    t.strictSame(await ask('/orders/1', ann, 'DELETE'), { status: 403, body: { message: 'Require Admin Role!', code: 'ADMIN_REQUIRED' } })
  })

  await t.test('keys are replaced while it runs', async t => {
    const fresh = addKey(file, 'ES256').at(-1)
    app.accessTokens.reload()
    promoteKey(file, String(fresh?.kid))
    app.accessTokens.reload()
    const later = await tokenOf('ann')
    await until('the new key to be fetched', async () => await statusOf('/orders', later) === 200)
    t.equal(await statusOf('/orders', ann), 200, 'the old key still verifies')
    removeKey(file, String(old?.kid))
    app.accessTokens.reload()
    await until('the cached old key to expire', async () => await statusOf('/orders', ann) === 401)
    t.equal(await statusOf('/orders', later), 200)

    await app.close()
    // Without keys it accepts no token, and does not claim that the token is invalid.
    await until('the cached keys to expire', async () => await statusOf('/orders', later) !== 200)
    t.strictSame(await ask('/orders', later), {
      status: 503,
      body: { message: 'Access tokens cannot be verified now. Please try again.', code: 'KEYS_UNAVAILABLE' }
    })
    t.equal(await statusOf('/'), 200)
  })
})
