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

/** A process and its descendants: the workers of a cluster (Linux only). */
function treeOf (pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return [pid, ...children.flatMap(treeOf)]
}

/** Resident memory in MiB. */
const memoryOf = pid => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024

/** CPU time in milliseconds, which Linux reports in ticks of 10 ms: utime and stime, fields 14 and 15 of proc(5). */
function cpuOf (pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [utime, stime] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11)
  return (Number(utime) + Number(stime)) * 10
}

const sum = values => values.reduce((total, value) => total + value, 0)

/**
 * Starts a server as a process of its own, and waits until it responds.
 * @param {string} name
 * @param {string[]} args arguments of node
 * @param {Record<string, string>} env
 * @param {string} [node] path of the executable
 */
export async function startService (name, args, env, node = process.execPath) {
  const port = await freePort()
  const began = performance.now()
  const child = spawn(node, args, {
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
    memory: () => sum(treeOf(child.pid).map(memoryOf)),
    cpu: () => sum(treeOf(child.pid).map(cpuOf)),
    startAnother: async () => await startService(name, args, env, node),
    async stop () {
      child.kill('SIGTERM')
      if (child.exitCode === null) await Promise.race([once(child, 'exit'), sleep(5000)])
      child.kill('SIGKILL')
    }
  }
}
