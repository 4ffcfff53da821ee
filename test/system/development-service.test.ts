import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { send, signIn, signUp } from '../support/http-client.ts'
import { CHEAP, runCommand, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

test('without DATABASE_URL the service runs in development mode', async t => {
  const cwd = await createFolder(t)
  const folder = join(cwd, '.gatehouse')
  const start = () => runServer(t, { cwd, env: CHEAP })
  const postmaster = async () => Number((await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
  const isStopped = async () => !(await readdir(join(folder, 'postgres'))).includes('postmaster.pid')

  await t.test('it serves requests, and its log warns once that anybody may sign up with any role', async t => {
    const server = start()
    const address = await server.address()
    const { status, body } = await send(address)
    t.strictSame([status, body], [200, { message: 'Welcome to gatehouse.' }])
    t.strictSame(await signUp(address, 'ann', ['admin']),
      { status: 200, body: { message: 'User was registered successfully!' } })
    t.strictSame(server.warnings(), ['Development mode: anybody may sign up as user, moderator, admin, and the data is ' +
      'in .gatehouse. For production, set DATABASE_URL and JWT_SECRET.'])

    await t.test('a second process learns which process uses the folder, and exits', async t => {
      t.strictSame(await runCommand(t, { cwd, env: CHEAP }), {
        code: 1,
        stdout: '',
        stderr: `Process ${server.child.pid} uses ${folder}. Stop it, or set DATA_DIR to another folder.\n`
      })
      t.equal((await send(address)).status, 200)
    })

    await t.test('create-admin works while it runs', async t => {
      const args = ['create-admin', '--username', 'root', '--email', 'root@example.com']
      t.match(await runCommand(t, { cwd, env: CHEAP, args, input: 'correct horse\n' }),
        { code: 0, stdout: 'User was registered successfully!\n', stderr: /"event":"user_created"/ })
      t.match(await signIn(address, 'root'), { status: 200, body: { username: 'root', roles: ['ROLE_ADMIN'] } })
    })

    await t.test('a killed PostgreSQL is restarted, with its data, and requests succeed again', async t => {
      const killed = await postmaster()
      process.kill(killed, 'SIGKILL')
      const restarted = 'The embedded PostgreSQL was killed and has been restarted.'
      await until('the restart', () => server.warnings().includes(restarted))
      t.not(await postmaster(), killed)
      await until('a sign-in', async () => (await signIn(address, 'ann')).status === 200)
      t.equal((await signUp(address, 'bob')).status, 200)
      t.strictSame(server.warnings().filter(line => line.startsWith('The embedded PostgreSQL')), [restarted],
        'one report, and no failed attempt')
    })

    await t.test('SIGTERM stops it and its PostgreSQL', async t => {
      server.child.kill('SIGTERM')
      t.equal(await server.ended, 0)
      t.equal(server.stderr(), '')
      t.strictSame((await readdir(folder)).sort(), ['mails', 'postgres', 'secret'])
      t.ok(await isStopped())
    })
  })

  await t.test('killed, it leaves a PostgreSQL that the next process takes over with its users and tokens', async t => {
    const killed = start()
    const { accessToken, refreshToken } = (await signIn(await killed.address(), 'ann')).body
    killed.child.kill('SIGKILL')
    t.equal(await killed.ended, 'SIGKILL')
    t.notOk(await isStopped())

    const next = start()
    const address = await next.address()
    t.equal((await signIn(address, 'ann')).status, 200)
    t.match(await send(`${address}/api/users/me`, { token: accessToken }), { status: 200, body: { username: 'ann' } })
    t.equal((await send(`${address}/api/auth/refreshtoken`, { body: { refreshToken } })).status, 200)

    next.child.kill('SIGINT')
    t.equal(await next.ended, 0)
    t.ok(await isStopped())
  })

  await t.test('a signal while its PostgreSQL starts stops that as well', async t => {
    const server = start()
    await until('PostgreSQL to be starting', async () =>
      await readFile(join(folder, 'owner.pid'), 'utf8').catch(() => undefined) === String(server.child.pid))
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    t.strictSame((await readdir(folder)).sort(), ['mails', 'postgres', 'secret'])
    t.ok(await isStopped())
  })

  await t.test('create-admin works while it is stopped, and leaves nothing running', async t => {
    const args = ['create-admin', '--username', 'ann', '--email', 'ann@example.com']
    t.strictSame(await runCommand(t, { cwd, env: CHEAP, args, input: 'correct horse' }),
      { code: 1, stdout: '', stderr: 'Failed! Username is already in use!\n' })
    t.strictSame((await readdir(folder)).sort(), ['mails', 'postgres', 'secret'])
    t.ok(await isStopped())
  })
})
