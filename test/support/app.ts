import { randomBytes } from 'node:crypto'
import type { FastifyInstance, InjectOptions } from 'fastify'
import pg from 'pg'
import type { Test } from 'tap'
import { insertUser } from '../../sql/sign-up.ts'
import { isRole } from '../../src/access.ts'
import { buildApp } from '../../src/app.ts'
import type { Config } from '../../src/config/read-settings.ts'
import { isRecord } from '../../src/unknown.ts'
import { openServer, TEMPLATE } from './postgres.ts'
import { configOf } from './settings.ts'

export { configOf, SECRET } from './settings.ts'

/** Runs one statement on a database of the tests' server. */
export async function sql<Row extends pg.QueryResultRow> (
  url: string,
  text: string,
  values: unknown[] = []
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end()
  }
}

/** A migrated database of its own for the caller, dropped at the end. */
export async function createDatabase (t: Test, template = TEMPLATE): Promise<string> {
  const postgres = await openServer()
  const name = `test_${randomBytes(6).toString('hex')}`
  await sql(postgres.url(), `CREATE DATABASE ${name} TEMPLATE ${template}`)
  t.teardown(async () => await sql(postgres.url(), `DROP DATABASE ${name} WITH (FORCE)`))
  return postgres.url(name)
}

export interface LogLine extends Record<string, unknown> {
  msg: string
}

/** A destination of log lines, and the lines so far. */
export function collectLogs () {
  const logs: LogLine[] = []
  return { logs, stream: { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } } }
}

export interface TestApp {
  app: FastifyInstance
  url: string
  logs: LogLine[]
  /** Sends a request with a JSON body. */
  post (path: string, payload: unknown, headers?: Record<string, string>): ReturnType<typeof inject>
  get (path: string, headers?: Record<string, string>): ReturnType<typeof inject>
  /** Sends a request with an access token, and a JSON body if there is one. */
  as (
    token: string, method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, payload?: object
  ): ReturnType<typeof inject>
  signUp (name: string, roles?: string[]): Promise<void>
  signIn (name: string): Promise<SignedIn>
  sql<Row extends pg.QueryResultRow> (text: string, values?: unknown[]): Promise<Row[]>
}

export interface Tokens {
  accessToken: string
  refreshToken: string
}

export interface SignedIn extends Tokens {
  id: number
}

export const PASSWORD = 'correct horse'

/** Changes the passwords of all users in psql. */
export const SET_HASH = 'UPDATE credentials SET data = jsonb_build_object(\'hash\', $1::text)'

export const HASHES = 'SELECT data ->> \'hash\' AS hash FROM credentials'

export const signUpBody = (name: string) => ({ username: name, email: `${name}@example.com`, password: PASSWORD })

/** Sends a request to the app, without a network. `json` is the body for tests that need its type. */
async function inject (app: FastifyInstance, request: InjectOptions) {
  const response = await app.inject(request)
  const isJson = String(response.headers['content-type']).startsWith('application/json')
  return {
    status: response.statusCode,
    headers: response.headers,
    body: isJson ? response.json<Record<string, unknown>>() : response.payload,
    json: <Body>() => response.json<Body>()
  }
}

/**
 * The service as production runs it, over a database of its own unless `overrides` names one. Every response is checked
 * against the schemas that its route declares.
 */
export async function startApp (t: Test, overrides: Partial<Config> = {}): Promise<TestApp> {
  const url = overrides.DATABASE_URL ?? await createDatabase(t)
  const { logs, stream } = collectLogs()
  const app = await buildApp(configOf(url, overrides), stream)
  app.addHook('onSend', async (request, reply) => {
    const { hide, response } = request.routeOptions.schema ?? {}
    // The page at /docs belongs to a package.
    const isExempt = hide === true || request.is404 || request.method === 'OPTIONS'
    const isDeclared = isRecord(response) && String(reply.statusCode) in response
    if (!isExempt && !isDeclared) {
      t.fail(`${request.method} ${request.routeOptions.url} declares no response with status ${reply.statusCode}`)
    }
  })
  await app.ready()
  t.teardown(async () => await app.close())
  const send = async (request: InjectOptions) => await inject(app, request)
  return {
    app,
    url,
    logs,
    post: async (path, payload, headers = {}) => await send({
      method: 'POST',
      url: path,
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload)
    }),
    get: async (path, headers = {}) => await send({ method: 'GET', url: path, headers }),
    as: async (token, method, path, payload) => await send({
      method, url: path, headers: { 'x-access-token': token }, ...payload && { payload }
    }),
    async signUp (name, roles = ['user']) {
      const passwordHash = await app.passwords.hash(PASSWORD, '127.0.0.1')
      const user = { username: name, email: `${name}@example.com`, passwordHash, roles: roles.filter(isRole) }
      await app.db.query(insertUser(user, { actorId: null, ip: '127.0.0.1' }))
    },
    async signIn (name) {
      const response = await send({ method: 'POST', url: '/api/auth/signin', payload: { username: name, password: PASSWORD } })
      return response.json<SignedIn>()
    },
    sql: async (text, values) => await sql(url, text, values)
  }
}
