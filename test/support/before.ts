import pg from 'pg'
import { migrate } from '../../sql/migrate.ts'
import { createServer, TEMPLATE } from './postgres.ts'

// tap runs this before the first test file.
const postgres = await createServer()
const client = new pg.Client({ connectionString: postgres.url() })
await client.connect()
await client.query(`CREATE DATABASE ${TEMPLATE}`)
await client.end()
await migrate(postgres.url(TEMPLATE))
