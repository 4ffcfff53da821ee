const KINDS = ['verification', 'password-reset', 'email-change', 'email-changed', 'email-taken']

const pendingOf = ({ pendingId }) => ({ id: pendingId, attempts: 0 })

/** Mails and what they carry. @param sql the exports of the modules of sql/ */
export const statementsOfMails = sql => ({
  queue_mail: ({ email: recipient, userId }) =>
    sql.queueMail({ kind: 'verification', recipient, userId, data: {} }, { max: 10, countsAll: true }),
  claim_mails: () => sql.claimMails({ limit: 10, lease: 60, kinds: KINDS }),
  lock_mail: user => sql.lockMail(pendingOf(user)),
  mark_mail_sent: user => sql.markMailSent(pendingOf(user)),
  mark_mail_failed: user => sql.markMailFailed(pendingOf(user)),
  drop_mail: user => sql.dropMail(pendingOf(user)),
  postpone_mail: user => sql.postponeMail(pendingOf(user), 60),
  mail_backlog: () => sql.mailBacklog(),
  drop_token_mails: user => sql.dropTokenMails(user.userId, [user.email, user.former]),
  drop_undo_mails: user => sql.dropUndoMails(user.userId),
  store_token: user => sql.storeToken({
    userId: user.userId,
    purpose: 'password-reset',
    tokenHash: user.newHash,
    codeHash: user.newHash,
    email: user.email,
    mailId: user.mailId,
    ttl: 3600
  }),
  store_undo_token: user => sql.storeUndoToken({
    userId: user.userId, tokenHash: user.newHash, email: user.email, ttl: 3600
  }),
  undo_holder: user => sql.undoHolder(user.former),
  find_token: user => sql.findToken(user.hash('v'), ['verification', 'password-reset']),
  codes_of: user => sql.codesOf(user.email, ['verification', 'password-reset']),
  take_token: user => sql.takeToken(user.userId, user.hash('v')),
  delete_tokens: user => sql.deleteTokens(user.userId, { undo: true })
})
