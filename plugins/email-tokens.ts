import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { codesOf, findToken, storeToken, storeUndoToken, undoHolder } from '../sql/email-tokens.ts'
import { userByEmail } from '../sql/user-emails.ts'
import { userById } from '../sql/users.ts'
import type { GivenEmailToken } from '../src/api/email-token-body.ts'
import type { User } from '../src/api/users.ts'
import { type Config, refreshSecrets } from '../src/config/read-settings.ts'
import { ApiError, type ErrorCode } from '../src/errors.ts'
import type { ClaimedMail } from '../src/mail/delivery.ts'
import { linksOf } from '../src/mail/links.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import { EmailSecrets, type Purpose } from '../src/tokens/email-secrets.ts'
import { sha256 } from '../src/tokens/sha256.ts'

/** A valid token that was presented, itself or by its code. */
export interface PresentedEmailToken {
  userId: number
  tokenHash: string
  purpose: Purpose
  /** the address that the mail went to */
  email: string
  /** the error to throw if another request uses the token first */
  invalid: ErrorCode
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Finds the token that a mail carried, without using it. A try of a code is counted.
     * @throws ApiError TOKEN_INVALID, CODE_INVALID, TOO_MANY_REQUESTS or BUSY
     */
    presentEmailToken (
      presented: GivenEmailToken, accepted: readonly Purpose[], request: FastifyRequest
    ): Promise<PresentedEmailToken>
    /** Mails a link that undoes a change to the former address, which is reserved for as long as the link is valid. */
    mailUndo (transaction: Queryable, user: Pick<User, 'id' | 'email' | 'emailVerified'>): Promise<void>
  }
}

const HOUR = 60 * 60

/** Seconds for which a token is valid. */
const TTL: Record<Purpose, number> = {
  verification: 24 * HOUR, 'password-reset': HOUR, 'email-change': 24 * HOUR, undo: 7 * 24 * HOUR
}

/** Creates the tokens and codes of mails when the mails are sent, and finds those that clients present. */
export default fp<{ config: Config }>(async function emailTokens (fastify, { config }) {
  const { codeTries, mail } = fastify
  const secrets = new EmailSecrets(refreshSecrets(config))
  const links = linksOf(config)

  // In the fragment, which browsers send to no server, so that no log has the token.
  function linkTo (purpose: Purpose, fields: { token: string, username: string, email: string }): string {
    const { token, username, email } = fields
    return `${links[purpose]}#${new URLSearchParams({ token, purpose, username, email }).toString()}`
  }

  /** The variables of a mail with a link and a code; undefined if a later mail replaces it, or the user is disabled. */
  async function compose (
    { id: mailId }: ClaimedMail, transaction: Queryable, purpose: Exclude<Purpose, 'undo'>,
    { user: { id: userId, username }, email }: { user: { id: number, username: string }, email: string }
  ) {
    const [{ token, code }] = secrets.derive(mailId)
    const codeHash = secrets.hashCode(userId, code)
    const [stored] = await transaction.query(storeToken({
      userId, purpose, tokenHash: sha256(token), codeHash, email, mailId, ttl: TTL[purpose]
    }))
    const link = linkTo(purpose, { token, username, email })
    return stored && {
      recipient: email,
      variables: { username, link, code },
      // Outside the transaction, whose connection would wait for another one. At each attempt, since an earlier one may
      // have failed here; the tries of a day are limited anyway. The link works without.
      beforeSend: async () => {
        await codeTries.reset(email).catch((error: unknown) => {
          fastify.log.warn({ err: error, mail: mailId }, 'the tries of a code were not reset')
        })
      }
    }
  }

  // The routes of these two do not look the address up, because their response times must not differ.
  mail.prepare('verification', async (claimed, transaction) => {
    const [user] = await transaction.query(userByEmail(claimed.recipient))
    if (!user || user.emailVerified) return undefined
    return await compose(claimed, transaction, 'verification', { user, email: user.email })
  })

  mail.prepare('password-reset', async (claimed, transaction) => {
    const [user] = await transaction.query(userByEmail(claimed.recipient))
    return user && await compose(claimed, transaction, 'password-reset', { user, email: user.email })
  })

  mail.prepare('email-change', async (claimed, transaction) => {
    const { userId, recipient } = claimed
    const [current] = await transaction.query(userByEmail(recipient))
    const [former] = await transaction.query(undoHolder(recipient))
    const holderId = current?.id ?? former?.userId ?? userId
    const [holder] = holderId === null ? [] : await transaction.query(userById(holderId))
    if (!holder) return undefined
    const { username } = holder
    if (holderId === userId) return await compose(claimed, transaction, 'email-change', { user: holder, email: recipient })
    const { email = recipient } = current ?? {}
    await mail.queue(transaction, { kind: 'email-taken', recipient: email, userId: holder.id, data: { username } })
    return undefined
  })

  mail.prepare('email-changed', async ({ id, userId, recipient: email }, transaction) => {
    const [user] = userId === null ? [] : await transaction.query(userById(userId))
    if (!user) return undefined
    const { username } = user
    for (const { token } of secrets.derive(id)) {
      const [valid] = await transaction.query(findToken(sha256(token), ['undo']))
      if (valid) return { variables: { username, link: linkTo('undo', { token, username, email }) } }
    }
    return undefined
  })

  fastify.decorate('mailUndo', async (transaction, { id: userId, email, emailVerified }) => {
    // The owner of a verified address must hear of it. Any other may belong to somebody else, who must not be flooded.
    const counted = emailVerified ? 'none' : 'all'
    const mailId = await mail.queue(transaction, { kind: 'email-changed', recipient: email, userId, counted })
    if (mailId === undefined) return
    const [{ token }] = secrets.derive(mailId)
    await transaction.query(storeUndoToken({ userId, tokenHash: sha256(token), email, ttl: TTL.undo }))
  })

  fastify.decorate('presentEmailToken', async (presented, accepted, request) => {
    const { db } = request
    if ('token' in presented) {
      const [token] = await db.query(findToken(sha256(presented.token), accepted))
      if (!token) throw new ApiError('TOKEN_INVALID')
      return { ...token, invalid: 'TOKEN_INVALID' }
    }
    const { email, code } = presented
    // An attacker tries a few codes on each of many addresses, as with passwords.
    const found = await fastify.limitFailedSignIns(request, async () => {
      if (!await codeTries.count(email)) return false
      const codes = await db.query(codesOf(email, accepted))
      return codes.find(({ codeHash, userId }) => secrets.isCode(codeHash, userId, code)) ?? false
    })
    if (!found) {
      // Whether the address belongs to a user or not, so that both take as long.
      await fastify.countCodeFailure(email)
      logSecurityEvent(request, 'authn_login_fail', { reason: 'code', route: request.routeOptions.url })
      throw new ApiError('CODE_INVALID')
    }
    // A right code is not guessed. The reset of a password may have to present it again, with a second factor.
    await codeTries.reset(email)
    return { ...found, invalid: 'CODE_INVALID' }
  })
}, { name: 'email-tokens', fastify: '5.x', dependencies: ['code-tries', 'deadline', 'failed-sign-ins', 'mail', 'sign-in-throttle'] })
