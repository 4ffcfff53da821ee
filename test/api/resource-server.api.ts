import { spawn } from 'node:child_process'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import { startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'
import { root } from './description.ts'

test('examples/resource-server guards by the published keys, also while they are rotated', async t => {
  const file = join(await createFolder(t), 'keys.json')
  const [old] = addKey(file, 'EdDSA')
  const { app, signUp, signIn } = await startApp(t, { JWT_KEYS_FILE: file })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const child = spawn(process.execPath, ['server.js'], {
    cwd: join(root, 'examples', 'resource-server'),
    env: { PATH: process.env['PATH'], GATEHOUSE: `http://127.0.0.1:${port}`, HOST: '127.0.0.1', PORT: '0', JWKS_MAX_AGE: '1' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', chunk => { said += String(chunk) })
  const origin = await until('it to listen', () => /Server listening at (http:[^"]+)/.exec(said)?.[1])
  const ask = async (path: string, token?: string, method = 'GET') =>
    (await fetch(`${origin}${path}`, { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })).status

  await signUp('ann')
  await signUp('root', ['admin'])
  const ann = (await signIn('ann')).accessToken
  const admin = (await signIn('root')).accessToken
  t.strictSame([await ask('/'), await ask('/orders'), await ask('/orders', 'garbage'), await ask('/orders', ann)], [200, 401, 401, 200])
  t.strictSame([await ask('/stock', ann), await ask('/stock', admin), await ask('/orders/1', ann, 'DELETE'), await ask('/orders/1', admin, 'DELETE')], [403, 200, 403, 200])

  const fresh = addKey(file, 'ES256').at(-1)
  app.accessTokens.reload()
  promoteKey(file, String(fresh?.kid))
  app.accessTokens.reload()
  const later = (await signIn('ann')).accessToken
  t.equal(await until('the new key to be fetched', async () => await ask('/orders', later) === 200), true)
  t.equal(await ask('/orders', ann), 200, 'the old key verifies still')
  removeKey(file, String(old?.kid))
  app.accessTokens.reload()
  t.equal(await until('the old key to be forgotten', async () => await ask('/orders', ann) === 401), true)
  t.equal(await ask('/orders', later), 200)

  await app.close()
  t.equal(await until('the keys to be too old', async () => await ask('/orders', later) === 503), true, 'without keys nobody is let in, and nobody told that the token is bad')
})
