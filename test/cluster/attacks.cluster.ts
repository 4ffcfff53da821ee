import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { test } from 'tap'
import { property } from '../../src/unknown.ts'
import { createFolder } from '../support/folder.ts'
import { runServer } from '../support/process.ts'

// slowhttptest keeps a thousand connections open and sends or reads very slowly. Other clients must be served.

const SECONDS = 7
const CONNECTIONS = ['-c', '1000', '-r', '250', '-l', String(SECONDS), '-i', '5', '-p', '3']

const ATTACKS = {
  'slow headers (Slowloris)': ['-H', '-t', 'GET', '-x', '24'],
  'slow bodies (R-U-Dead-Yet)': ['-B', '-t', 'POST', '-s', '8192', '-x', '10', '-f', 'application/json'],
  'slow reading': ['-X', '-w', '1', '-y', '2', '-n', '5', '-z', '1', '-k', '3']
}

test('while a thousand connections send or read very slowly, others are served', async t => {
  const server = runServer(t, {
    cwd: await createFolder(t),
    // The attacker and the others have one address.
    env: { PORT: '0', HOST: '127.0.0.1', RATE_LIMIT_SIGNIN: '0', MAX_CONNECTIONS_PER_ADDRESS: '0' },
    script: 'dist/src/server.js'
  })
  const address = await server.address()
  const credentials = { username: 'ann', password: 'correct horse' }
  const post = async (path: string, body: object) => await fetch(`${address}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  t.equal((await post('/api/auth/signup', { ...credentials, email: 'ann@example.com' })).status, 200)

  /** Sends a request, every fifth time a sign-in. @returns the status */
  const ask = async (turn: number): Promise<number> => {
    const response = turn % 5 === 0 ? await post('/api/auth/signin', credentials) : await fetch(`${address}/api/test/all`)
    await response.arrayBuffer()
    return response.status
  }

  for (const [title, args] of Object.entries(ATTACKS)) {
    await t.test(title, async t => {
      const url = title.includes('bodies') ? `${address}/api/auth/signin` : `${address}/docs/static/swagger-ui-bundle.js`
      const attack = spawn('slowhttptest', [...CONNECTIONS, ...args, '-u', url], { stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      for (const stream of [attack.stdout, attack.stderr]) stream.on('data', chunk => { output += String(chunk) })
      const ended = once(attack, 'close')
      t.teardown(() => attack.kill('SIGKILL'))
      const outcomes: Array<Promise<number | string>> = []
      for (let turn = 0; turn < SECONDS * 20; turn++) {
        // Now and then the system resets a connection while a thousand others are opened. Clients try once more.
        outcomes.push(ask(turn).catch(async () => await ask(turn))
          .catch((error: unknown) => String(property(error, 'cause') ?? error)))
        await sleep(50)
      }
      const failed = (await Promise.all(outcomes)).filter(outcome => outcome !== 200)
      t.ok(failed.length <= outcomes.length * 0.01, `${failed.length} of ${outcomes.length} failed: ${failed.join(', ')}`)
      await ended
      const counts = stripVTControlCharacters(output).matchAll(/connected:\s*(\d+)/g)
      const most = Math.max(...Array.from(counts, match => Number(match[1])))
      t.ok(most > 100, `${most} connections were open at once`)
    })
  }
  t.equal(server.child.exitCode, null)
})
