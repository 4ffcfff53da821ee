import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

interface AuditEvent {
  event: string
  /** the user whom it concerns */
  userId: number
  /** the user who acted; null for an unauthenticated request */
  actorId: number | null
  ip: string
  detail?: Record<string, unknown>
}

export const insertAuditEvent = statement({
  name: 'insert_audit_event',
  text: `INSERT INTO audit_events (event, user_id, actor_id, ip, detail)
    VALUES ($1::text, $2::bigint, $3::bigint, $4::text, $5::jsonb)`,
  values: ({ event, userId, actorId, ip, detail = {} }: AuditEvent) => [event, userId, actorId, ip, detail],
  row: Type.Object({})
})

interface Page {
  /** last id of the previous page; undefined for the first page */
  before: number | undefined
  user: number | undefined
  event: string | undefined
  limit: number
}

type Values = (page: Page) => unknown[]

const first: Values = ({ before = Number.MAX_SAFE_INTEGER, limit }) => [before, limit]

/**
 * The SQL of the events that are older than $1 and have some values in some columns, newest first. The order names the
 * columns, although they are the same in all of these events, because only an index on them and the id has that order.
 * With `event = $3 ORDER BY id DESC`, PostgreSQL expects to find 100 events soon if it reads the newest ones of any
 * kind: for a rare kind that took 24 s in ten million events.
 */
function having (columns: string[], values: string[]): string {
  return `(${columns.join(', ')}) >= (${values.join(', ')})
      AND (${[...columns, 'id'].join(', ')}) < (${[...values, '$1::bigint'].join(', ')})
    ORDER BY ${[...columns, 'id'].map(column => `${column} DESC`).join(', ')}`
}

const page = (name: string, filter: string, values: Values) => statement({
  name,
  text: `SELECT id, created_at AS "createdAt", event, user_id AS "userId", actor_id AS "actorId", ip, detail
    FROM audit_events WHERE ${filter} LIMIT $2::int`,
  values,
  row: Type.Object({
    id: Type.Integer(),
    createdAt: Type.Date(),
    event: Type.String(),
    userId: Type.Integer(),
    actorId: Type.Union([Type.Integer(), Type.Null()]),
    ip: Type.Union([Type.String(), Type.Null()]),
    detail: Type.Record(Type.String(), Type.Unknown())
  })
})

export const auditPage = page('audit_page', 'id < $1::bigint ORDER BY id DESC', first)

export const auditPageByUser = page('audit_page_by_user', having(['user_id'], ['$3::bigint']),
  query => [...first(query), query.user])

export const auditPageByEvent = page('audit_page_by_event', having(['event'], ['$3::text']),
  query => [...first(query), query.event])

export const auditPageByUserAndEvent = page('audit_page_by_user_and_event',
  having(['user_id', 'event'], ['$3::bigint', '$4::text']), query => [...first(query), query.user, query.event])

/** A page of audit events by keyset, newest first. Each combination of filters has a statement, and so an index. */
export function selectAuditEvents (query: Page) {
  if (query.user === undefined) return query.event === undefined ? auditPage(query) : auditPageByEvent(query)
  return query.event === undefined ? auditPageByUser(query) : auditPageByUserAndEvent(query)
}
