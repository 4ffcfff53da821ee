import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import { Client, request } from 'undici'

/**
 * @typedef {{ value: number, requests: number, failed: number }} Measured successful requests per second and in total,
 *   and failed requests
 */

const toMeasured = (requests, failed, seconds) => ({ value: requests / seconds, requests, failed })

/**
 * Repeats one request.
 * @returns {Promise<Measured>}
 */
export async function repeat ({ url, seconds, connections, ...rest }) {
  const { requests, non2xx, errors } = await autocannon({ url, duration: seconds, connections, ...rest })
  return toMeasured(requests.total - non2xx, non2xx + errors, seconds)
}

export async function send (origin, path, { token, body, method = body === undefined ? 'GET' : 'POST' } = {}) {
  const response = await request(`${origin}${path}`, {
    method,
    headers: { ...token && { 'x-access-token': token }, ...body !== undefined && { 'content-type': 'application/json' } },
    ...body !== undefined && { body: JSON.stringify(body) }
  })
  return { status: response.statusCode, body: await response.body.text() }
}

/**
 * Each connection sends one request after the other. `first` and `next` return the bodies; `next` is given the previous
 * body and response.
 * @param {{
 *   origin: string, path: string, seconds: number, connections: number,
 *   first: (index: number) => object, next: (body: object, response: object, index: number) => object
 * }} options
 * @returns {Promise<Measured>}
 */
export async function chain ({ origin, path, seconds, connections, first, next }) {
  const until = performance.now() + seconds * 1000
  let succeeded = 0
  let failed = 0
  await Promise.all(Array.from({ length: connections }, async (_, index) => {
    const client = new Client(origin)
    let body = first(index)
    while (performance.now() < until) {
      const response = await client.request({
        method: 'POST', path, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
      })
      const text = await response.body.text()
      // Responses after the end are not counted: 64 slow requests in flight would distort the rate.
      if (response.statusCode !== 200) failed++
      else if (performance.now() < until) succeeded++
      body = next(body, response.statusCode === 200 ? JSON.parse(text) : {}, index)
    }
    await client.close()
  }))
  return toMeasured(succeeded, failed, seconds)
}

/**
 * Sends a request with each of these bodies.
 * @returns {Promise<{ ms: number, responses: object[] }>} the responses of status 200, by the index of their body
 */
export async function sendAll ({ origin, path, bodies, connections }) {
  const texts = bodies.map(body => JSON.stringify(body))
  const clients = Array.from({ length: connections }, () => new Client(origin))
  const responses = []
  let next = 0
  const begin = performance.now()
  await Promise.all(clients.map(async client => {
    while (next < texts.length) {
      const index = next++
      const response = await client.request({
        method: 'POST', path, headers: { 'content-type': 'application/json' }, body: texts[index]
      })
      const text = await response.body.text()
      if (response.statusCode === 200) responses[index] = JSON.parse(text)
    }
  }))
  const ms = performance.now() - begin
  await Promise.all(clients.map(async client => await client.close()))
  return { ms, responses }
}

/**
 * Sends requests at a constant rate, whether or not earlier ones have completed. Latency is measured from the time at
 * which a request was due, so that a stalled server does not reduce the load (coordinated omission).
 * @returns {Promise<{ p99: number, failed: number }>} in milliseconds
 */
export async function pace ({ origin, path, token, seconds, perSecond }) {
  const begin = performance.now()
  const latencies = []
  let failed = 0
  const running = []
  for (let i = 0; i < seconds * perSecond; i++) {
    const due = begin + i * 1000 / perSecond
    if (due > performance.now()) await sleep(due - performance.now())
    running.push(send(origin, path, { token }).then(({ status }) => {
      latencies.push(performance.now() - due)
      if (status !== 200) failed++
    }, () => { failed++ }))
  }
  await Promise.all(running)
  latencies.sort((a, b) => a - b)
  return { p99: latencies[Math.floor(latencies.length * 0.99)], failed }
}
