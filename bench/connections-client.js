import { once } from 'node:events'
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

// The client of connections.js, a process of its own: many kept connections, each with at most one request in flight.

/** Connections from one address: fewer than gatehouse's MAX_CONNECTIONS_PER_ADDRESS. */
const PER_ADDRESS = 500
/** Connections that are being opened at a time. */
const BATCH = 100

/** A connection that understands responses with a Content-Length. */
class Connection {
  #socket
  #received = ''
  #settle

  constructor (socket) {
    this.#socket = socket.setEncoding('latin1').setNoDelay()
    socket.on('data', text => this.#receive(text))
    socket.on('error', () => {})
    socket.on('close', () => this.#settle?.('closed'))
  }

  #receive (text) {
    this.#received += text
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return
    const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(this.#received)
    if (this.#received.length < end + 4 + Number(length)) return
    const status = this.#received.slice(9, 12)
    this.#received = ''
    this.#settle?.(status)
  }

  /** @returns {Promise<string>} the status, or another text if there is no response */
  async send (request) {
    if (this.#settle) return 'busy'
    if (this.#socket.destroyed) return 'closed'
    const status = await new Promise(resolve => {
      this.#settle = resolve
      this.#socket.write(request)
    })
    this.#settle = undefined
    return status
  }
}

const open = []
let request

const actions = {
  /** Each connection sends a first request at once: gatehouse closes one that sends none within HEADERS_TIMEOUT. */
  async open ({ origin, path, headers, connections }) {
    const { host, hostname, port } = new URL(origin)
    const fields = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    request = Buffer.from(`GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`)
    while (open.length < connections) {
      const length = Math.min(BATCH, connections - open.length)
      open.push(...await Promise.all(Array.from({ length }, async (_, index) => {
        const localAddress = `127.0.1.${1 + Math.floor((open.length + index) / PER_ADDRESS)}`
        const socket = connect({ host: hostname, port: Number(port), localAddress })
        await once(socket, 'connect')
        const connection = new Connection(socket)
        const status = await connection.send(request)
        if (status !== '200') throw new Error(`The response to a first request: ${status}`)
        return connection
      })))
    }
    return {}
  },

  /**
   * Latency is measured from the time at which a request was due (no coordinated omission). `late` is the part of it by
   * which the client itself was late, at the 99th percentile.
   */
  async pace ({ rate, count }) {
    const latencies = []
    const late = []
    const running = []
    let failed = 0
    const begin = performance.now()
    for (let i = 0; i < count; i++) {
      const due = begin + i * 1000 / rate
      while (performance.now() < due) await sleep(due - performance.now())
      late.push(performance.now() - due)
      running.push(open[i % open.length].send(request).then(status => {
        latencies.push(performance.now() - due)
        if (status !== '200') failed++
      }))
    }
    await Promise.all(running)
    for (const times of [latencies, late]) times.sort((a, b) => a - b)
    const at = (times, share) => times[Math.floor(times.length * share)]
    return { p50: at(latencies, 0.5), p99: at(latencies, 0.99), max: latencies.at(-1), late: at(late, 0.99), failed }
  }
}

process.on('message', async ({ action, ...options }) => { process.send(await actions[action](options)) })
// The connections would keep the process running.
process.on('disconnect', () => process.exit())
