import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { runServer } from '../support/process.ts'

// slowhttptest holds a thousand connections open by sending or reading next to nothing; others want to be served.

const SECONDS = 7
const CONNECTIONS = ['-c', '1000', '-r', '250', '-l', String(SECONDS), '-i', '5', '-p', '3']

const ATTACKS = {
  'slow headers (Slowloris)': ['-H', '-t', 'GET', '-x', '24'],
  'slow bodies (R-U-Dead-Yet)': ['-B', '-t', 'POST', '-s', '8192', '-x', '10', '-f', 'application/json'],
  'slow reading': ['-X', '-w', '1', '-y', '2', '-n', '5', '-z', '1', '-k', '3']
}

test('while a thousand connections do next to nothing, others are served', async t => {
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { PORT: '0', HOST: '127.0.0.1', RATE_LIMIT_SIGNIN: '0' },
    script: 'dist/src/server.js'
  })
  const address = await server.address()
  const account = { username: 'ann', password: 'correct horse' }
  const post = async (path: string, body: object) => await fetch(`${address}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  t.equal((await post('/api/auth/signup', { ...account, email: 'ann@example.com' })).status, 200)

  /** A board, and every fifth time a sign-in. */
  const ask = async (turn: number): Promise<number> => {
    const reply = turn % 5 === 0 ? await post('/api/auth/signin', account) : await fetch(`${address}/api/test/all`)
    await reply.arrayBuffer()
    return reply.status
  }

  for (const [title, args] of Object.entries(ATTACKS)) {
    await t.test(title, async t => {
      const url = title.includes('bodies') ? `${address}/api/auth/signin` : `${address}/docs/static/swagger-ui-bundle.js`
      const attack = spawn('slowhttptest', [...CONNECTIONS, ...args, '-u', url], { stdio: ['ignore', 'pipe', 'pipe'] })
      let said = ''
      for (const stream of [attack.stdout, attack.stderr]) stream.on('data', chunk => { said += String(chunk) })
      const ended = once(attack, 'close')
      t.teardown(() => attack.kill('SIGKILL'))
      const outcomes: Array<Promise<boolean>> = []
      for (let turn = 0; turn < SECONDS * 20; turn++) {
        outcomes.push(ask(turn).then(status => status === 200, () => false))
        await sleep(50)
      }
      const served = (await Promise.all(outcomes)).filter(Boolean).length
      t.ok(served >= outcomes.length * 0.99, `${served} of ${outcomes.length} served`)
      await ended
      const most = Math.max(...Array.from(stripVTControlCharacters(said).matchAll(/connected:\s*(\d+)/g), match => Number(match[1])))
      t.ok(most > 100, `the attack was one: ${most} connections at a time`)
    })
  }
  t.equal(server.child.exitCode, null)
})
