import type pg from 'pg'
import type { Statement } from '../../sql/statement.ts'
import { isRecord } from '../../src/unknown.ts'

interface Node {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
}

/** Every node of a plan, which PostgreSQL reports as nested objects. */
function nodesOf (plan: unknown): Node[] {
  if (Array.isArray(plan)) return plan.flatMap(nodesOf)
  if (!isRecord(plan)) return []
  const nested = Object.values(plan).flatMap(nodesOf)
  return 'Node Type' in plan ? [plan as unknown as Node, ...nested] : nested
}

/** How a statement finds and orders rows, such as `Index Scan of users_pkey` or `Seq Scan of users`. */
export interface Plans {
  /** for its values */
  custom: string[]
  /** for values that are not known yet, as for a prepared statement after five executions */
  generic: string[]
}

/** The scans and sorts in the plans of a statement. */
export async function plansOf (client: pg.Client, { text, values }: Statement<unknown>): Promise<Plans> {
  const scansOf = ({ rows }: pg.QueryResult) => nodesOf(rows)
    .filter(node => /Scan|Sort/.test(node['Node Type']))
    .map(node => [node['Node Type'], node['Index Name'] ?? node['Relation Name']].filter(Boolean).join(' of '))
  return {
    custom: scansOf(await client.query(`EXPLAIN (FORMAT JSON) ${text}`, values)),
    generic: scansOf(await client.query(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`))
  }
}
