import type pg from 'pg'
import type { Statement } from '../../sql/statement.ts'

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  Plans?: PlanNode[]
}

/**
 * What PostgreSQL plans for a statement. `custom`: for its values. `generic`: for values that are not known yet, as for
 * a prepared statement after five executions.
 */
type Plans<Plan> = Record<'custom' | 'generic', Plan>

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...plan.Plans?.flatMap(nodesOf) ?? []]

/** How rows are found, gathered and ordered, such as `Index Scan of users_pkey` or `Seq Scan of users`. */
export const scansOf = (plan: PlanNode): string[] => nodesOf(plan)
  .filter(node => /Scan|Sort|Gather/.test(node['Node Type']))
  .map(node => [node['Node Type'], node['Index Name'] ?? node['Relation Name']].filter(Boolean).join(' of '))

/** The plans of a statement, each as its topmost node. */
export async function explain (client: pg.Client, { text, values }: Statement<unknown>): Promise<Plans<PlanNode>> {
  const planOf = ({ rows: [row] }: pg.QueryResult<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>) => row!['QUERY PLAN'][0].Plan
  return {
    custom: planOf(await client.query(`EXPLAIN (FORMAT JSON) ${text}`, values)),
    generic: planOf(await client.query(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`))
  }
}

/** The scans in the plans of a statement. */
export async function plansOf (client: pg.Client, statement: Statement<unknown>): Promise<Plans<string[]>> {
  const { custom, generic } = await explain(client, statement)
  return { custom: scansOf(custom), generic: scansOf(generic) }
}
