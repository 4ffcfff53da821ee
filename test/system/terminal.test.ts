import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { send } from '../support/http-client.ts'
import { CHEAP, runAtTerminal, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const TIME = String.raw`\[\d\d:\d\d:\d\d\]`

test('at a terminal the log is readable, and the addresses to open follow it', async t => {
  const { pid, screen, ended } = await runAtTerminal(t, { cwd: await createFolder(t), env: CHEAP })
  const [, port = ''] = await until('the addresses', () => /Service .*:(\d+)[^]*Mode .*\n\n$/.exec(screen()) ?? undefined)
  const lines = screen().trimEnd().split('\n')
  t.match(lines.find(line => line.includes('Server listening')),
    new RegExp(`^${TIME} INFO: Server listening at http://127.0.0.1:${port}$`))
  t.match(lines.find(line => line.includes('Development mode')), new RegExp(`^${TIME} WARN: Development mode: anybody`))
  t.strictSame(lines.slice(-4), [
    '',
    `  Service   http://127.0.0.1:${port}`,
    `  API       http://127.0.0.1:${port}/docs`,
    '  Mode      development, with an embedded PostgreSQL in .gatehouse'
  ])
  t.equal((await send(`http://127.0.0.1:${port}/docs`)).status, 200)
  process.kill(pid, 'SIGTERM')
  t.equal(await ended, 0)
})

test('with workers the addresses name the port that they share', async t => {
  const env = { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, WORKERS: '2' }
  const { pid, screen, ended } = await runAtTerminal(t, { cwd: await createFolder(t), env })
  const [, port = ''] = await until('the address', () => /Service {3}http:.*:(\d+)\n/.exec(screen()) ?? undefined)
  t.equal((await send(`http://127.0.0.1:${port}/api/test/all`)).status, 200)
  t.notMatch(screen(), /API {3}|Metrics {3}|Mode {3}/, 'nothing that is off')
  process.kill(pid, 'SIGTERM')
  t.equal(await ended, 0)
})

test('elsewhere the log is JSON, and no addresses follow it', async t => {
  const env = { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  const server = runServer(t, { cwd: await createFolder(t), env })
  await server.address()
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  const lines = server.stdout().trimEnd().split('\n')
  t.equal(server.logs().length, lines.length, 'every line is JSON')
})
