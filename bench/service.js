import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'

export const SECRET = 'a secret of the benchmark, at least 32 bytes long'

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/**
 * Starts a server as a process of its own, and waits until it responds.
 * @param {string} name
 * @param {string[]} args arguments of node
 * @param {Record<string, string>} env
 */
export async function startService (name, args, env) {
  const port = await freePort()
  const began = performance.now()
  const child = spawn(process.execPath, args, {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      METRICS_PORT: '0',
      HOST: '127.0.0.1',
      PORT: String(port),
      ...env
    },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let stderr = ''
  child.stderr.on('data', chunk => { stderr += chunk })
  const origin = `http://127.0.0.1:${port}`
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} exited: ${stderr}`)
    if (performance.now() - began > 60_000) throw new Error(`${name} does not respond: ${stderr}`)
    if (await fetch(origin).then(response => response.ok, () => false)) break
    await sleep(10)
  }
  return {
    name,
    origin,
    startMs: performance.now() - began,
    /** resident memory in MiB (Linux only) */
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024,
    async stop () {
      child.kill('SIGTERM')
      if (child.exitCode === null) await Promise.race([once(child, 'exit'), sleep(5000)])
      child.kill('SIGKILL')
    }
  }
}
