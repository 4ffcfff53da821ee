import { migrate } from '../../sql/migrate.ts'
import { sql } from './app.ts'
import { createServer, TEMPLATE } from './postgres.ts'

// tap runs this before the first test file.
const postgres = await createServer()
await sql(postgres.url(), `CREATE DATABASE ${TEMPLATE}`)
await migrate(postgres.url(TEMPLATE))
