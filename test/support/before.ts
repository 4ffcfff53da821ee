import pg from 'pg'
import { migrate } from '../../sql/migrate.ts'
import { createServer, TEMPLATE } from './postgres.ts'

const postgres = await createServer()
const client = new pg.Client({ connectionString: await postgres.url() })
await client.connect()
await client.query(`CREATE DATABASE ${TEMPLATE}`)
await client.end()
await migrate(await postgres.url(TEMPLATE))
