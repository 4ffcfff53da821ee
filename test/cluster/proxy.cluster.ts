import { once } from 'node:events'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { test, type Test } from 'tap'
import { property } from '../../src/unknown.ts'
import { until } from '../support/wait.ts'
import { deployed, freePort, listens, PASSWORD, run, start, startInstance, startPostgres, writeFor } from './machine.ts'

/** Starts the HAProxy of deploy/ in front of one instance, with a certificate. @returns its two URLs */
async function startHaproxy (t: Test, folder: string, instance: URL) {
  const [http, https, database] = [await freePort(), await freePort(), await freePort()]
  await run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', 'tls.key', '-out', 'tls.crt'], folder)
  const certificate = await writeFor(join(folder, 'tls.pem'), await run(['cat', 'tls.crt', 'tls.key'], folder))
  const conf = await deployed('haproxy.cfg', [
    [/^ {2}bind :8080$/gm, `  bind 127.0.0.1:${http}\n  bind 127.0.0.1:${https} ssl crt ${certificate} alpn h2,http/1.1`],
    ['bind 10.0.0.1:5432', `bind 127.0.0.1:${database}`],
    ['10.0.0.11:8080', instance.host],
    // There are no others.
    [/^ {2}server (gatehouse[23]|postgres\d) .*\n/gm, '']
  ])
  const command = ['haproxy', '-f', await writeFor(join(folder, 'haproxy.cfg'), conf)]
  const haproxy = start(t, 'haproxy', command, { folder })
  const urls = { http: `http://127.0.0.1:${http}`, https: `https://127.0.0.1:${https}` }
  await until('HAProxy', async () => {
    if (haproxy.end() !== undefined) throw new Error(haproxy.output())
    return await send(`${urls.http}/health/ready`).then(({ status }) => status === 200, () => false)
  })
  return urls
}

/** Sends a request from an address of this machine; a POST if there is a body. */
async function send (url: string, { from = '127.0.0.1', headers = {}, body = '' } = {}) {
  const request = (url.startsWith('https:') ? requestHttps : requestHttp)(url, {
    localAddress: from, headers, rejectUnauthorized: false, agent: false, method: body === '' ? 'GET' : 'POST'
  })
  request.end(body)
  const [response] = await once(request, 'response') as [IncomingMessage]
  return { status: response.statusCode, headers: response.headers, code: property(await json(response), 'code') }
}

test('behind the HAProxy of deploy/', async t => {
  const { port, folder } = await startPostgres(t)
  const instance = await startInstance(t, folder, 'gatehouse', {
    DATABASE_URL: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    TRUST_PROXY: '127.0.0.1',
    RATE_LIMIT_SIGNIN: '3'
  })
  await listens(instance)
  const { http, https } = await startHaproxy(t, folder, new URL(instance.url))

  await t.test('each client has limits of its own, whatever address it claims', async t => {
    const headers = { 'content-type': 'application/json' }
    const signIn = async (from: string, more: object = {}) => {
      const sent = { from, headers: { ...headers, ...more }, body: JSON.stringify({ username: from, password: 'wrong' }) }
      const { status, code } = await send(`${http}/api/auth/signin`, sent)
      return [status, code]
    }
    const unknown = [404, 'USER_NOT_FOUND']
    const limited = [429, 'TOO_MANY_REQUESTS']
    const first = [await signIn('127.0.0.1'), await signIn('127.0.0.1'), await signIn('127.0.0.1'), await signIn('127.0.0.1')]
    t.strictSame(first, [unknown, unknown, unknown, limited])
    t.strictSame(await signIn('127.0.0.1', { 'x-forwarded-for': '192.0.2.1' }), limited)
    t.strictSame(await signIn('127.0.0.2'), unknown)
  })

  await t.test('Strict-Transport-Security is sent over HTTPS only', async t => {
    const header = 'strict-transport-security'
    t.match(await send(https), { status: 200, headers: { [header]: 'max-age=31536000' } })
    t.equal((await send(http)).headers[header], undefined)
    const claimed = { headers: { 'x-forwarded-proto': 'https' } }
    t.equal((await send(http, claimed)).headers[header], undefined, 'a client cannot claim HTTPS')
  })
})
