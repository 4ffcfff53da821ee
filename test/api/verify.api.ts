import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose'
import { type Test, test } from 'tap'
import { addKey, promoteKey } from '../../src/tokens/key-file.ts'
import { startApp, type Tokens } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { freePort } from '../support/port.ts'
import { blocksOf, folderInCheckout } from '../support/readme.ts'
import { until } from '../support/wait.ts'
import { root, run } from './description.ts'

const blocks = blocksOf(readFileSync(join(root, 'docs', 'verify.md'), 'utf8'))
const blockWith = (language: string, text: string) =>
  String(blocks.find(block => block.language === language && block.text.includes(text))?.text)

// Debian's, since another Python lacks Debian's packages.
const PYTHON = '/usr/bin/python3'

const responses = {
  missing: { status: 403, challenge: 'Bearer', body: { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' } },
  expired: {
    status: 401, challenge: 'Bearer', body: { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' }
  },
  invalid: { status: 401, challenge: 'Bearer', body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' } },
  roleRequired: {
    status: 403, challenge: null, body: { message: 'Require Moderator or Admin Role!', code: 'MODERATOR_OR_ADMIN_REQUIRED' }
  },
  unavailable: {
    status: 503,
    challenge: null,
    body: { message: 'Access tokens cannot be verified now. Please try again.', code: 'KEYS_UNAVAILABLE' }
  },
  hello: (id: number) => ({ status: 200, challenge: null, body: { message: `Hello, user ${id}.` } })
}

/** gatehouse with a key of each algorithm, tokens that it issued, and its first key as `sign` to vary them. */
async function startGatehouse (t: Test) {
  const file = join(await createFolder(t), 'keys.json')
  for (const alg of ['EdDSA', 'ES256', 'RS256'] as const) addKey(file, alg)
  const { app, post, signUp, signIn } = await startApp(t, { JWT_KEYS_FILE: file, JWT_AUDIENCES: ['orders', 'stock'] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  await signUp('ann')
  await signUp('root', ['admin'])
  const tokenOf = async (username: string, audience = 'orders') => {
    const { refreshToken } = await signIn(username)
    return (await post('/api/auth/refreshtoken', { refreshToken, audience })).json<Tokens>().accessToken
  }
  const { keys: [first = {}, ...others] } = JSON.parse(readFileSync(file, 'utf8')) as { keys: JWK[] }
  const [ann, admin, gatehouseOwn, stock] =
    [await tokenOf('ann'), await tokenOf('root'), (await signIn('ann')).accessToken, await tokenOf('ann', 'stock')]
  const ofOtherKeys: string[] = []
  for (const { kid } of others) {
    promoteKey(file, String(kid))
    app.accessTokens.reload()
    ofOtherKeys.push(await tokenOf('ann'))
  }
  const header = { alg: 'EdDSA', typ: 'at+jwt', kid: String(first.kid) }
  const sign = async (claims: object, more: object = {}) =>
    await new SignJWT({ ...decodeJwt(ann), ...claims }).setProtectedHeader({ ...header, ...more }).sign(await importJWK(first, 'EdDSA'))
  const secret = createPublicKey({ key: { ...first }, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const [head, payload, signature] = ann.split('.')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const forged = encode({ ...decodeJwt(ann), roles: ['admin'] })
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    ann,
    admin,
    ofOtherKeys,
    id: decodeJwt<{ id: number }>(ann).id,
    /** Adds a key that signs from now on, and returns a token of it. */
    async addKey () {
      promoteKey(file, String(addKey(file, 'ES256').at(-1)?.kid))
      app.accessTokens.reload()
      return await tokenOf('ann')
    },
    expired: await sign({ exp: Math.floor(Date.now() / 1000) }),
    invalid: {
      garbage: 'garbage',
      'three parts of garbage': 'a.b.c',
      'for gatehouse': gatehouseOwn,
      'for another server': stock,
      'of another issuer': await sign({ iss: 'other' }),
      'another kind of token': await sign({}, { typ: 'JWT' }),
      'without expiry': await sign({ exp: undefined }),
      'of an unknown key': await sign({}, { kid: 'unknown' }),
      'without a key id': await sign({}, { kid: undefined }),
      'of another key': await sign({}, { kid: others[0]?.kid }),
      'with other claims': `${head}.${forged}.${signature}`,
      'without a signature': `${head}.${payload}.`,
      unsigned: `${encode({ ...header, alg: 'none' })}.${forged}.`,
      'with the public key as a secret': await new SignJWT(decodeJwt(admin))
        .setProtectedHeader({ ...header, alg: 'HS256' }).sign(Buffer.from(secret))
    }
  }
}

/** Sends requests to a server, and returns what a denial consists of. */
const asker = (origin: string) => async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${origin}${path}`, { headers })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** Starts a program of the document, which listens on $PORT. */
async function startProgram (t: Test, gatehouse: string, file: string, args: string[] = []) {
  const port = await freePort()
  const child = spawn(file, args, {
    env: { ...process.env, GATEHOUSE: gatehouse, PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe']
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => { errors += String(chunk) })
  t.teardown(() => child.kill('SIGKILL'))
  const ask = asker(`http://127.0.0.1:${port}`)
  await until('the program to listen', async () => {
    if (child.exitCode !== null) throw new Error(errors)
    return await ask('/orders').then(() => true, () => false)
  })
  return ask
}

/** Writes the block of a language to a file and returns the command that runs it. */
const programs = {
  async python (folder: string): Promise<[file: string, args: string[]]> {
    const file = join(folder, 'orders.py')
    writeFileSync(file, blockWith('python', 'import jwt'))
    return [PYTHON, [file]]
  },
  async go (folder: string): Promise<[file: string, args: string[]]> {
    const source = join(folder, 'main.go')
    writeFileSync(source, blockWith('go', 'package main'))
    for (const args of [['vet', source], ['build', '-o', join(folder, 'orders'), source]]) {
      const { code, stderr } = await run('go', args, folder)
      if (code !== 0) throw new Error(stderr)
    }
    return [join(folder, 'orders'), []]
  }
}

const runs = async (file: string, args: string[]) => (await run(file, args)).code === 0
const skip = {
  python: !await runs(PYTHON, ['-c', 'import jwt, cryptography']) && 'python3-jwt or python3-cryptography is not installed',
  go: !await runs('go', ['version']) && 'Go is not installed'
}

for (const language of ['python', 'go'] as const) {
  test(`the ${language} program of docs/verify.md accepts the tokens of gatehouse for it and no others`, { skip: skip[language] }, async t => {
    const gatehouse = await startGatehouse(t)
    const { id, ann, admin, ofOtherKeys } = gatehouse
    const [file, args] = await programs[language](await createFolder(t))
    const ask = await startProgram(t, gatehouse.url, file, args)

    for (const token of [ann, ...ofOtherKeys]) {
      t.strictSame(await ask('/orders', bearer(token)), responses.hello(id), 'a token of each algorithm')
    }
    t.strictSame(await ask('/orders', { 'x-access-token': ann }), responses.hello(id))
    t.strictSame(await ask('/orders', { 'x-access-token': ann, ...bearer(ann) }), responses.hello(id))
    t.match(await ask('/stock', bearer(admin)), { status: 200 })
    t.strictSame(await ask('/stock', bearer(ann)), responses.roleRequired)
    t.strictSame(await ask('/orders'), responses.missing)
    t.strictSame(await ask('/orders', { authorization: 'Basic YTpi' }), responses.missing)
    t.strictSame(await ask('/orders', bearer(gatehouse.expired)), responses.expired)
    t.strictSame(await ask('/orders', { authorization: 'Bearer a b' }), responses.invalid)
    t.strictSame(await ask('/orders', { 'x-access-token': ann, ...bearer(admin) }), responses.invalid)
    t.strictSame(await ask('/orders', { 'x-api-key': 'gh_x' }), responses.invalid)
    t.strictSame(await ask('/orders', { 'x-api-key': 'gh_x', ...bearer(ann) }), responses.invalid)
    for (const [what, token] of Object.entries(gatehouse.invalid)) {
      t.strictSame(await ask('/stock', bearer(token)), responses.invalid, what)
    }

    await t.test('it fetches a new key, and tells a lack of keys from an invalid token', async t => {
      const later = await gatehouse.addKey()
      await until('the new key to be fetched', async () => (await ask('/orders', bearer(later))).status === 200)
      const unreachable = await startProgram(t, `http://127.0.0.1:${await freePort()}`, file, args)
      t.strictSame(await unreachable('/orders', bearer(ann)), responses.unavailable)
      t.strictSame(await unreachable('/orders', bearer(ann)), responses.unavailable)
      const noKeys = await startProgram(t, `${gatehouse.url}/nothing`, file, args)
      t.strictSame(await noKeys('/orders', bearer(ann)), responses.unavailable)
    })

    await t.test('it fetches keys once at a time, and a key server that hangs delays no token of a cached key', async t => {
      const keys = await (await fetch(`${gatehouse.url}/.well-known/jwks.json`)).text()
      let [body, requests]: [string | undefined, number] = [keys, 0]
      const server = createServer((_, response) => {
        requests++
        if (body) response.end(body)
      })
      t.teardown(() => { server.closeAllConnections(); server.close() })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const other = await startProgram(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, file, args)
      const unknown = bearer(gatehouse.invalid['of an unknown key'])
      const askAll = async () => await Promise.all(Array.from({ length: 6 }, async () => await other('/orders', unknown)))
      t.strictSame(await askAll(), Array(6).fill(responses.invalid))
      t.equal(requests, 1)

      body = undefined
      await setTimeout(5100)
      const denied = askAll()
      await until('the request for keys', () => requests === 2)
      const start = performance.now()
      t.strictSame(await other('/orders', bearer(ann)), responses.hello(id))
      t.ok(performance.now() - start < 2000)
      t.strictSame(await denied, Array(6).fill(responses.unavailable))
      t.strictSame(await other('/orders', unknown), responses.unavailable)
      t.equal(requests, 2, 'a failed attempt is followed by a cooldown')

      body = '{"keys":[]}'
      const empty = await startProgram(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, file, args)
      t.strictSame(await empty('/orders', bearer(ann)), responses.unavailable)
    })
  })
}

test('the programs for Node.js in docs/verify.md work as pasted', async t => {
  const built = await run(process.execPath, [join(root, 'scripts', 'build.js'), '--if-changed'])
  t.equal(built.code, 0, built.stderr)
  const gatehouse = await startGatehouse(t)
  const { ann, admin, id } = gatehouse
  // Inside the checkout, so that the blocks find its packages and gatehouse itself.
  const folder = await folderInCheckout(t)
  const load = async (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text.replaceAll('http://localhost:8080', gatehouse.url))
    return await import(pathToFileURL(path).href) as Record<string, unknown>
  }

  await t.test('the one for Fastify', async t => {
    const block = `${blockWith('js', 'Fastify()')}\nexport { app }\n`
    const { app } = await load('fastify.mjs', block) as { app: FastifyInstance }
    t.teardown(async () => await app.close())
    const ask = async (url: string, token = '', method: 'GET' | 'DELETE' = 'GET') => {
      const { statusCode, body } = await app.inject({ method, url, headers: { 'x-access-token': token } })
      return [statusCode, body]
    }
    t.strictSame(await ask('/'), [200, 'The catalogue.'])
    t.strictSame(await ask('/orders', ann), [200, `The orders of user ${id}.`])
    t.strictSame(await ask('/orders'), [403, JSON.stringify(responses.missing.body)])
    t.strictSame(await ask('/orders/1', admin, 'DELETE'), [200, 'Order 1 was deleted.'])
    t.equal((await ask('/orders/1', ann, 'DELETE'))[0], 403)
  })

  await t.test('the one for other servers', async t => {
    const { server } = await load('node.mjs', blockWith('js', 'createServer')) as { server: Server }
    t.teardown(() => server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    t.equal(await (await fetch(origin, { headers: bearer(admin) })).text(), `Hello, user ${decodeJwt(admin)['id']}.`)
    const ask = asker(origin)
    t.strictSame(await ask('/', bearer(ann)), responses.roleRequired)
    t.strictSame(await ask('/'), responses.missing)
    t.strictSame(await ask('/', bearer(gatehouse.expired)), responses.expired)
    for (const [what, token] of Object.entries(gatehouse.invalid)) t.strictSame(await ask('/', bearer(token)), responses.invalid, what)
  })
})
