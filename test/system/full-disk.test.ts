import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { freePort } from '../support/port.ts'
import { CHEAP, serviceArgs } from '../support/process.ts'
import { until } from '../support/wait.ts'

test('a log that cannot be written neither stops the service nor keeps it from exiting', async t => {
  const port = await freePort()
  // Every write to it fails as on a full disk.
  const full = openSync('/dev/full', 'w')
  const service = spawn(process.execPath, serviceArgs, {
    stdio: ['ignore', full, 'inherit'],
    env: { ...process.env, ...CHEAP, PORT: String(port), DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, METRICS_PORT: '0' }
  })
  closeSync(full)
  const exited = once(service, 'exit')
  t.teardown(() => service.kill('SIGKILL'))
  const origin = `http://127.0.0.1:${port}`
  const ready = async () => await fetch(`${origin}/health/ready`).then(({ ok }) => ok, () => false)
  await until('the service', ready, 30_000)
  for (let i = 0; i < 3; i++) {
    // Each writes a line.
    const { status } = await fetch(`${origin}/api/auth/signin`, {
      method: 'POST', body: new URLSearchParams({ username: 'nobody', password: 'wrong horse' })
    })
    t.equal(status, 404)
  }
  t.equal(await ready(), true)
  service.kill('SIGTERM')
  t.strictSame(await exited, [0, null])
})
