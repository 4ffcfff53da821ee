import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import {
  claimMails, dropMail, lockMail, mailBacklog, markMailFailed, markMailSent, postponeMail, queueMail
} from '../sql/mails.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import type { ClaimedMail } from '../src/mail/delivery.ts'
import { kindNames, type MailKind } from '../src/mail/kinds.ts'
import { createMailMetrics } from '../src/mail/mail-metrics.ts'
import { createOutlet, type Prepared } from '../src/mail/outlet.ts'
import { Sender } from '../src/mail/sender.ts'

export interface NewMail {
  kind: MailKind
  recipient: string
  /** whose deletion drops the mail, if it has yet to be sent */
  userId?: number
  /** the variables of the templates, or what the preparer needs; never a secret */
  data?: Record<string, string>
  /**
   * which earlier mails of the kind to the recipient count against it, for MAIL_RECIPIENT_LIMIT: all unless given, or
   * those that were not dropped
   */
  counted?: 'all' | 'kept' | 'none'
}

/**
 * Creates what a mail says when it is about to be sent, in a transaction that has locked the mail. It runs again at
 * each attempt and must then return the same, so secrets are derived from the mail's id.
 * @returns undefined if there is nothing to send
 */
type Preparer = (mail: ClaimedMail, transaction: Queryable) => Promise<Prepared | undefined>

export interface Mail {
  /** whether MAIL_URL is set; otherwise `queue` does nothing */
  isConfigured: boolean
  /** @throws ApiError NOT_CONFIGURED */
  requireConfigured (): void
  /**
   * Queues a mail, to be sent after the commit. Beyond MAIL_RECIPIENT_LIMIT it is discarded. If `on` is a transaction,
   * `wake` is called after the commit.
   * @returns the mail's id; undefined if it was discarded
   */
  queue (on: Queryable, mail: NewMail): Promise<string | undefined>
  /** Registers the preparer of a kind, at start. In other kinds, `data` has the variables of the templates. */
  prepare (kind: MailKind, preparer: Preparer): void
  /** Sends what is due now instead of at the next poll. */
  wake (): void
  /** Like `wake`, after a short random time, so that the time of the next request reveals nothing about this one. */
  wakeLater (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    mail: Mail
  }
}

/** Milliseconds: many times as long as a request takes, and short for a user who expects a mail. */
const MAX_WAKE_DELAY = 250

/**
 * Sends the mails in the table `mails`. A mail is queued in the transaction of the change that it tells of, so it is
 * sent exactly if the change is committed, by whichever replica claims it first.
 */
export default fp<{ config: Config }>(async function mail (fastify, { config }) {
  const { db, log } = fastify
  const metrics = createMailMetrics(fastify.metrics)
  const preparers = new Map<string, Preparer>()
  const outlet = await createOutlet(config)

  async function prepare (mail: ClaimedMail): Promise<Prepared | undefined> {
    const preparer = preparers.get(mail.kind)
    if (!preparer) return { variables: mail.data }
    const prepared = await db.transaction(async transaction => {
      const [locked] = await transaction.query(lockMail(mail))
      if (!locked) return undefined
      const prepared = await preparer(mail, transaction)
      if (!prepared) await transaction.query(dropMail(mail))
      return prepared
    })
    await prepared?.beforeSend?.()
    return prepared
  }

  const sender = outlet && new Sender({
    outlet,
    metrics,
    log,
    outbox: {
      // Only the kinds that this version knows: during an update, others are left to the new version.
      claim: async (limit, lease) => await db.query(claimMails({ limit, lease, kinds: kindNames })),
      prepare,
      async markSent (mail) { await db.query(markMailSent(mail)) },
      async markFailed (mail) { await db.query(markMailFailed(mail)) },
      async postpone (mail, seconds) { await db.query(postponeMail(mail, seconds)) },
      async measure () {
        const [backlog = { count: 0, age: 0 }] = await db.query(mailBacklog())
        return backlog
      }
    }
  })

  fastify.decorate('mail', {
    isConfigured: outlet !== undefined,
    requireConfigured () {
      if (!outlet) throw new ApiError('NOT_CONFIGURED', 'MAIL_URL')
    },
    async queue (on, { kind, recipient, userId = null, data = {}, counted = 'all' }) {
      if (!sender) return undefined
      const limit = { max: counted === 'none' ? 0 : config.MAIL_RECIPIENT_LIMIT, countsAll: counted === 'all' }
      const [queued] = await on.query(queueMail({ kind, recipient, userId, data }, limit))
      if (on === db) sender.wake()
      return queued?.id
    },
    prepare (kind, preparer) { preparers.set(kind, preparer) },
    wake () { sender?.wake() },
    wakeLater () { setTimeout(() => { sender?.wake() }, Math.random() * MAX_WAKE_DELAY).unref() }
  })
  if (!sender) return
  // Not before: the plugins that register preparers load later.
  fastify.addHook('onReady', async () => { sender.start() })
  // Runs before the pool closes: onClose hooks run in reverse order of registration. Half of the grace is left for it.
  fastify.addHook('onClose', async () => { await sender.close(config.SHUTDOWN_GRACE * 500) })
}, { name: 'mail', fastify: '5.x', dependencies: ['db', 'metrics'] })
