import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

export interface AuditEvent {
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
  /** last id of the previous page */
  before: number | undefined
  user: number | undefined
  event: string | undefined
  limit: number
}

/** A page of audit events by keyset, newest first. */
export const auditPage = statement({
  name: 'audit_page',
  text: `SELECT id, created_at AS "createdAt", event, user_id AS "userId", actor_id AS "actorId", ip, detail
    FROM audit_events
    WHERE ($1::bigint IS NULL OR id < $1::bigint)
      AND ($2::bigint IS NULL OR user_id = $2::bigint)
      AND ($3::text IS NULL OR event = $3::text)
    ORDER BY id DESC LIMIT $4::int`,
  values: ({ before, user, event, limit }: Page) => [before, user, event, limit],
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
