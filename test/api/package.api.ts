import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { PASSWORD } from '../support/app.ts'
import { until } from '../support/wait.ts'
import { run } from './description.ts'
import { pack } from './packed.ts'

test('npx gatehouse runs the service of the npm package', { timeout: 180_000 }, async t => {
  const { folder, size, paths, install } = await pack(t)

  await t.test('the package has the built service, its documents and nothing else', async t => {
    const built = /^dist\/(src|plugins|routes|sql)\/.*\.js(\.map)?$/
    const others = paths.filter(path => !built.test(path))
    const documents = others.filter(path => !/^(dist\/sql\/migrations\/\d{4}\.do\.[\w-]+\.sql|dist\/views\/(mails|pages)\/[a-z-]+\.(txt|html|css|js)|docs\/[\w-]+\.(md|json|svg)|dist\/src\/.*\.d\.ts)$/.test(path))
    t.strictSame(documents.sort(), ['.env.example', 'CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'])
    t.ok(others.some(path => path.endsWith('.sql')))
    t.ok(others.includes('docs/configuration.md'), '--help refers to it')
    t.ok(others.includes('dist/src/verify/index.d.ts'), 'the types of gatehouse/verify')
    t.notOk(others.includes('dist/src/app.d.ts'), 'and not those of the service')
    t.ok(size < 500_000, `${size} bytes`)
  })

  await writeFile(join(folder, 'package.json'), '{"private":true}')
  await install()

  await t.test('its commands work as well, and their usage names npx', async t => {
    const gatehouse = async (...args: string[]) => await run('npx', ['--no-install', 'gatehouse', ...args], folder)
    t.equal((await gatehouse('keys', 'new', '--file', 'keys.json')).code, 0)
    t.match(await gatehouse('--help'), { code: 0, stdout: '  npx gatehouse create-admin --username NAME', stderr: '' })
    t.match(await gatehouse('--version'), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
  })

  // In a process group of its own, because npx does not forward signals.
  const child = spawn('npx', ['--no-install', 'gatehouse'], {
    cwd: folder,
    detached: true,
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', METRICS_PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += String(chunk) })
  const ended = once(child, 'close')
  t.teardown(() => child.exitCode === null && process.kill(-Number(child.pid), 'SIGKILL'))
  const origin = await until('the service to listen', () => {
    if (child.exitCode !== null) throw new Error(output)
    return /Server listening at (http:[^"]+)/.exec(output)?.[1]
  }, 90_000)
  const post = async (path: string, body: object) => await fetch(`${origin}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  t.equal((await post('/api/auth/signup', { username: 'ann', email: 'ann@example.com', password: PASSWORD })).status, 200)
  t.equal((await post('/api/auth/signin', { username: 'ann', password: PASSWORD })).status, 200)
  process.kill(-Number(child.pid), 'SIGTERM')
  await ended
})
