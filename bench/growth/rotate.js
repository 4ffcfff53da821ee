import { rotateSession } from '../../dist/sql/rotation.js'
import { connect } from '../databases.js'

const RULES = { step: 0, grace: 10, idle: 0 }

/** Sixteen busy instances. */
const CONNECTIONS = 16

const SIZE = 'SELECT pg_total_relation_size(\'refresh_tokens\')::int AS bytes'

/** Refreshes a thousand sessions in turn, and prints how many updates were HOT and how the table grew. */
export async function rotate (url, rotations) {
  const client = await connect(url)
  await client.query('VACUUM ANALYZE')
  const { rows: kept } = await client.query(`SELECT user_id::int AS "userId", id AS "sessionId" FROM refresh_tokens
    WHERE expires_at > now() ORDER BY id LIMIT 1000`)
  await client.query('SELECT pg_stat_reset()')
  const size = async () => (await client.query(SIZE)).rows[0].bytes
  const before = await size()
  const begin = performance.now()
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, lane) => {
    const connection = await connect(url)
    const own = kept.filter((_, index) => index % CONNECTIONS === lane).map(row => ({ ...row, generation: 1 }))
    for (let i = 0; i < rotations / CONNECTIONS; i++) {
      const row = own[i % own.length]
      const { name, text, values } = rotateSession(row, RULES)
      const { rowCount } = await connection.query({ name, text, values })
      if (rowCount !== 1) throw new Error(`refresh ${row.generation} of ${row.sessionId} found no session`)
      row.generation++
    }
    await connection.end()
  }))
  const seconds = (performance.now() - begin) / 1000
  await client.query('SELECT pg_stat_clear_snapshot()')
  const { rows: [stat] } = await client.query(
    'SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'refresh_tokens\'')
  console.log(`${stat.updates} refreshes of ${kept.length} sessions in ${Math.round(seconds)} s: ` +
    `HOT ratio ${(stat.hot / stat.updates).toFixed(4)}, table and indexes ${Math.round(before / 1024)} KiB before, ` +
    `${Math.round(await size() / 1024)} KiB after`)
  await client.end()
}
