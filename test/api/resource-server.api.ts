import { spawn } from 'node:child_process'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import { startApp, type Tokens } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'
import { root } from './description.ts'

test('examples/resource-server verifies tokens with the published keys, also while these are rotated', async t => {
  const file = join(await createFolder(t), 'keys.json')
  const [old] = addKey(file, 'EdDSA')
  const { app, post, signUp, signIn } = await startApp(t, { JWT_KEYS_FILE: file, JWT_AUDIENCES: ['orders'] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const child = spawn(process.execPath, ['server.js'], {
    cwd: join(root, 'examples', 'resource-server'),
    env: { PATH: process.env['PATH'], GATEHOUSE: `http://127.0.0.1:${port}`, HOST: '127.0.0.1', PORT: '0', JWKS_MAX_AGE: '1' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += String(chunk) })
  const origin = await until('it to listen', () => /Server listening at (http:[^"]+)/.exec(output)?.[1])
  const ask = async (path: string, token?: string, method = 'GET') =>
    (await fetch(`${origin}${path}`, { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })).status

  await signUp('ann')
  await signUp('root', ['admin'])
  const tokenOf = async (username: string) => {
    const { refreshToken } = await signIn(username)
    return (await post('/api/auth/refreshtoken', { refreshToken, audience: 'orders' })).json<Tokens>().accessToken
  }
  const [ann, admin] = [await tokenOf('ann'), await tokenOf('root')]
  t.equal(await ask('/orders', (await signIn('ann')).accessToken), 401, 'the token of a sign-in is for gatehouse only')
  t.equal(await ask('/'), 200)
  t.strictSame([await ask('/orders'), await ask('/orders', 'garbage'), await ask('/orders', ann)], [401, 401, 200])
  t.strictSame([await ask('/stock', ann), await ask('/stock', admin)], [403, 200])
  t.strictSame([await ask('/orders/1', ann, 'DELETE'), await ask('/orders/1', admin, 'DELETE')], [403, 200])

  const fresh = addKey(file, 'ES256').at(-1)
  app.accessTokens.reload()
  promoteKey(file, String(fresh?.kid))
  app.accessTokens.reload()
  const later = await tokenOf('ann')
  await until('the new key to be fetched', async () => await ask('/orders', later) === 200)
  t.equal(await ask('/orders', ann), 200, 'the old key still verifies')
  removeKey(file, String(old?.kid))
  app.accessTokens.reload()
  await until('the cached old key to expire', async () => await ask('/orders', ann) === 401)
  t.equal(await ask('/orders', later), 200)

  await app.close()
  // Without keys it accepts no token, and does not claim that the token is invalid.
  await until('the cached keys to expire', async () => await ask('/orders', later) === 503)
})
