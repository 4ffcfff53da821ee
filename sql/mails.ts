import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

interface NewMail {
  kind: string
  recipient: string
  userId: number | null
  /** never a secret */
  data: Record<string, string>
}

interface Limit {
  /** 0 for none */
  max: number
  /** whether mails count that were dropped */
  countsAll: boolean
}

/** Queues a mail, unless `max` of its kind to this address, in any case, were queued within the last hour. */
export const queueMail = statement({
  name: 'queue_mail',
  text: `INSERT INTO mails (kind, recipient, user_id, data)
    SELECT $1::text, $2::text, $3::bigint, $4::jsonb
    WHERE $5::int = 0 OR $5::int > (
      SELECT count(*) FROM mails
      WHERE lower(recipient COLLATE "C") = lower($2::text COLLATE "C") AND created_at > now() - interval '1 hour'
        AND kind = $1::text AND (dropped_at IS NULL OR $6::boolean))
    RETURNING id`,
  values: ({ kind, recipient, userId, data }: NewMail, { max, countsAll }: Limit) =>
    [kind, recipient, userId, data, max, countsAll],
  row: Type.Object({ id: Type.String() })
})

const PENDING = 'sent_at IS NULL AND failed_at IS NULL AND dropped_at IS NULL'

interface Claim {
  limit: number
  /** seconds for which no other claim gets these mails */
  lease: number
  kinds: readonly string[]
}

/** A claimed mail. Another claim increases its attempts, so a process whose lease has ended then changes nothing. */
interface Claimed {
  id: string
  attempts: number
}

/** Claims mails that are due, the longest due first. A crash delays a mail until the lease ends. */
export const claimMails = statement({
  name: 'claim_mails',
  text: `WITH due AS (
      SELECT id FROM mails WHERE ${PENDING} AND next_attempt_at <= now() AND kind = ANY ($3::text[])
      ORDER BY next_attempt_at LIMIT $1::int FOR UPDATE SKIP LOCKED
    )
    UPDATE mails SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2::int)
    FROM due WHERE mails.id = due.id
    RETURNING mails.id, kind, recipient, user_id AS "userId", data, attempts,
      extract(epoch FROM now() - created_at)::int AS age`,
  values: ({ limit, lease, kinds }: Claim) => [limit, lease, kinds],
  row: Type.Object({
    id: Type.String(),
    kind: Type.String(),
    recipient: Type.String(),
    userId: Type.Union([Type.Integer(), Type.Null()]),
    data: Type.Record(Type.String(), Type.Unknown()),
    attempts: Type.Integer(),
    age: Type.Integer()
  })
})

/** Locks a claimed mail. Returns no row if it was dropped, or claimed again because the lease had ended. */
export const lockMail = statement({
  name: 'lock_mail',
  text: `SELECT id FROM mails WHERE id = $1::uuid AND attempts = $2::int AND ${PENDING} FOR NO KEY UPDATE`,
  values: ({ id, attempts }: Claimed) => [id, attempts],
  row: Type.Object({ id: Type.String() })
})

/**
 * Also after the lease has ended: what was sent must not be sent again. A mail that was dropped while it was being sent
 * counts as sent.
 */
export const markMailSent = statement({
  name: 'mark_mail_sent',
  text: `UPDATE mails SET sent_at = now(), dropped_at = NULL
    WHERE id = $1::uuid AND sent_at IS NULL AND failed_at IS NULL`,
  values: ({ id }: Claimed) => [id],
  row: Type.Object({})
})

export const markMailFailed = statement({
  name: 'mark_mail_failed',
  text: `UPDATE mails SET failed_at = now() WHERE id = $1::uuid AND attempts = $2::int AND ${PENDING}`,
  values: ({ id, attempts }: Claimed) => [id, attempts],
  row: Type.Object({})
})

/**
 * Ends a mail for which there is nothing to send. The row is kept until the purge, so that the limit per recipient does
 * not depend on whether the address belongs to a user.
 */
export const dropMail = statement({
  name: 'drop_mail',
  text: `UPDATE mails SET dropped_at = now() WHERE id = $1::uuid AND attempts = $2::int AND ${PENDING}`,
  values: ({ id, attempts }: Claimed) => [id, attempts],
  row: Type.Object({})
})

/** @param seconds until the next attempt */
export const postponeMail = statement({
  name: 'postpone_mail',
  text: `UPDATE mails SET next_attempt_at = now() + make_interval(secs => $3::int)
    WHERE id = $1::uuid AND attempts = $2::int AND ${PENDING}`,
  values: ({ id, attempts }: Claimed, seconds: number) => [id, attempts, seconds],
  row: Type.Object({})
})

/** How many mails have yet to be sent, and for how many seconds the oldest has waited. */
export const mailBacklog = statement({
  name: 'mail_backlog',
  text: `SELECT count(*)::int AS count, coalesce(extract(epoch FROM now() - min(created_at)), 0)::int AS age
    FROM mails WHERE ${PENDING}`,
  values: () => [],
  row: Type.Object({ count: Type.Integer(), age: Type.Integer() })
})

/**
 * Ends the mails with a token that have yet to be sent for a user, or to one of some addresses, in any case. ARRAY lets
 * both conditions use an index; with ANY (SELECT …), every mail that is pending would be read.
 */
export const dropTokenMails = statement({
  name: 'drop_token_mails',
  text: `UPDATE mails SET dropped_at = now() WHERE ${PENDING}
    AND (user_id = $1::bigint
      OR lower(recipient COLLATE "C") = ANY (ARRAY(SELECT lower(email COLLATE "C") FROM unnest($2::text[]) AS email)))
    AND kind IN ('verification', 'password-reset', 'email-change')`,
  values: (userId: number, recipients: readonly string[]) => [userId, recipients],
  row: Type.Object({})
})

/** Ends the mails that have yet to be sent to the former addresses of a user. */
export const dropUndoMails = statement({
  name: 'drop_undo_mails',
  text: `UPDATE mails SET dropped_at = now() WHERE ${PENDING} AND user_id = $1::bigint AND kind = 'email-changed'`,
  values: (userId: number) => [userId],
  row: Type.Object({})
})
