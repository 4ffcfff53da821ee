import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { findToken, storeToken, tryCodes } from '../sql/email-tokens.ts'
import { userByEmail } from '../sql/user-emails.ts'
import { userById } from '../sql/users.ts'
import { type Config, refreshSecrets } from '../src/config/read-settings.ts'
import { ApiError, type ErrorCode } from '../src/errors.ts'
import type { ClaimedMail } from '../src/mail/delivery.ts'
import { linksOf } from '../src/mail/links.ts'
import { EmailSecrets, hashToken, type Purpose } from '../src/tokens/email-secrets.ts'

/** What a client presents to prove that a mail was read. */
export type Presented = { token: string } | { email: string, code: string }

/** A valid token that was presented, itself or by its code. */
export interface PresentedEmailToken {
  userId: number
  tokenHash: string
  purpose: Purpose
  /** the address that the mail went to */
  email: string
  /** the error if it is used by another request first */
  invalid: ErrorCode
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Finds the token that a mail carried, without using it. A try of a code is counted.
     * @throws ApiError TOKEN_INVALID or CODE_INVALID
     */
    presentEmailToken (
      presented: Presented, accepted: readonly Purpose[], db: Queryable
    ): Promise<PresentedEmailToken>
  }
}

const HOUR = 60 * 60

/** Seconds for which a token is valid. */
const TTL: Record<Purpose, number> = {
  verification: 24 * HOUR, 'password-reset': HOUR, 'email-change': 24 * HOUR, undo: 7 * 24 * HOUR
}

/** Creates the tokens and codes of mails when the mails are sent, and finds those that clients present. */
export default fp<{ config: Config }>(async function emailTokens (fastify, { config }) {
  const { mail } = fastify
  const secrets = new EmailSecrets(refreshSecrets(config))
  const links = linksOf(config)

  /** The variables of a mail with a token; undefined if a later mail replaces it, or the user is disabled. */
  async function compose (
    { id: mailId }: ClaimedMail, transaction: Queryable, purpose: Purpose,
    { user, email }: { user: { id: number, username: string }, email: string }
  ) {
    const { token, code } = secrets.derive(mailId)
    const [stored] = await transaction.query(storeToken({
      userId: user.id,
      purpose,
      tokenHash: hashToken(token),
      codeHash: purpose === 'undo' ? null : secrets.hashCode(user.id, code),
      email,
      mailId,
      ttl: TTL[purpose]
    }))
    if (!stored) return undefined
    // In the fragment, which browsers send to no server, so that it is in no log.
    const fragment = new URLSearchParams({ token, purpose, username: user.username, email })
    const link = `${links[purpose]}#${fragment.toString()}`
    return { recipient: email, variables: { username: user.username, link, code } }
  }

  // For these two, anybody may enter any address. Whether it belongs to a user is first asked here.
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
    const [holder] = await transaction.query(userByEmail(recipient))
    if (holder && holder.id !== userId) {
      const { id, email, username } = holder
      await mail.queue(transaction, { kind: 'email-taken', recipient: email, userId: id, data: { username } })
      return undefined
    }
    const [user] = userId === null ? [] : await transaction.query(userById(userId))
    return user && await compose(claimed, transaction, 'email-change', { user, email: recipient })
  })

  mail.prepare('email-changed', async (claimed, transaction) => {
    const { userId, recipient } = claimed
    const [user] = userId === null ? [] : await transaction.query(userById(userId))
    return user && await compose(claimed, transaction, 'undo', { user, email: recipient })
  })

  fastify.decorate('presentEmailToken', async (presented, accepted, db) => {
    if ('token' in presented) {
      const [found] = await db.query(findToken(hashToken(presented.token), accepted))
      if (!found) throw new ApiError('TOKEN_INVALID')
      return { ...found, invalid: 'TOKEN_INVALID' }
    }
    const tried = await db.query(tryCodes(presented.email, accepted))
    const found = tried.find(({ codeHash, userId }) => secrets.isCode(codeHash, userId, presented.code))
    if (!found) throw new ApiError('CODE_INVALID')
    return { ...found, invalid: 'CODE_INVALID' }
  })
}, { name: 'email-tokens', fastify: '5.x', dependencies: ['mail'] })
