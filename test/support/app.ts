import { randomBytes } from 'node:crypto'
import type { FastifyInstance, InjectOptions } from 'fastify'
import pg from 'pg'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { insertUser } from '../../sql/sign-up.ts'
import { isRole } from '../../src/access.ts'
import { type Config, readSettings } from '../../src/config/read-settings.ts'
import { openServer, TEMPLATE } from './postgres.ts'

export const SECRET = 'a secret of the tests, at least 32 bytes long'

/** Runs one statement on a database of the tests' server. */
export async function sql<Row extends pg.QueryResultRow> (url: string, text: string, values: unknown[] = []): Promise<Row[]> {
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
  await sql(await postgres.url(), `CREATE DATABASE ${name} TEMPLATE ${template}`)
  t.teardown(async () => await sql(await postgres.url(), `DROP DATABASE ${name} WITH (FORCE)`))
  return await postgres.url(name)
}

/** The settings of a service, with hashes cheap enough for a test. */
export function configOf (url: string, overrides: Partial<Config> = {}): Config {
  const env = { DATABASE_URL: url, JWT_SECRET: SECRET, ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1', LOG_LEVEL: 'debug', RATE_LIMIT_SIGNIN: '100000', MAX_EVENT_LOOP_DELAY: '0' }
  return { ...readSettings(env), DATABASE_URL: url, JWT_SECRET: SECRET, ...overrides }
}

export interface LogLine extends Record<string, unknown> {
  msg: string
}

export interface TestApp {
  app: FastifyInstance
  url: string
  logs: LogLine[]
  /** Sends a request with a JSON body. */
  post (path: string, payload: unknown, headers?: Record<string, string>): ReturnType<typeof answer>
  get (path: string, headers?: Record<string, string>): ReturnType<typeof answer>
  /** Sends a request with an access token, and a JSON body if there is one. */
  as (token: string, method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object): ReturnType<typeof answer>
  signUp (name: string, roles?: string[]): Promise<void>
  signIn (name: string): Promise<SignedIn>
  sql<Row extends pg.QueryResultRow> (text: string, values?: unknown[]): Promise<Row[]>
}

export interface SignedIn {
  id: number
  accessToken: string
  refreshToken: string
}

export const PASSWORD = 'correct horse'

export const signUpBody = (name: string) => ({ username: name, email: `${name}@example.com`, password: PASSWORD })

async function answer (app: FastifyInstance, request: InjectOptions) {
  const reply = await app.inject(request)
  const text = reply.payload
  const isJson = String(reply.headers['content-type']).startsWith('application/json')
  return { status: reply.statusCode, headers: reply.headers, body: isJson ? reply.json<Record<string, unknown>>() : text }
}

/**
 * The service as production runs it, over a database of its own unless `overrides` names one. Every reply is checked
 * against the schemas its route declares.
 */
export async function startApp (t: Test, overrides: Partial<Config> = {}): Promise<TestApp> {
  const url = overrides.DATABASE_URL ?? await createDatabase(t)
  const logs: LogLine[] = []
  const app = await buildApp(configOf(url, overrides), { write: line => { logs.push(JSON.parse(line)) } })
  app.addHook('onSend', async (request, reply) => {
    const { hide, response } = Object(request.routeOptions.schema)
    const declared = Object(response)
    // The page at /docs is a package's.
    const known = hide || request.is404 || request.method === 'OPTIONS' || String(reply.statusCode) in declared
    if (!known) t.fail(`${request.method} ${request.routeOptions.url} declares no reply ${reply.statusCode}`)
  })
  await app.ready()
  t.teardown(async () => await app.close())
  const send = async (request: InjectOptions) => await answer(app, request)
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
      const passwordHash = await app.passwords.hash(PASSWORD)
      await app.db.query(insertUser({ username: name, email: `${name}@example.com`, passwordHash, roles: roles.filter(isRole) }, { actorId: null, ip: '127.0.0.1' }))
    },
    async signIn (name) {
      const { body } = await send({ method: 'POST', url: '/api/auth/signin', payload: { username: name, password: PASSWORD } })
      return body as unknown as SignedIn
    },
    sql: async (text, values) => await sql(url, text, values)
  }
}
