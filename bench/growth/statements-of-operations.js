import { EXPIRED } from './rows.js'

const PAGE = { before: undefined, limit: 100 }

/** The audit log, housekeeping and what watches the database. @param sql the exports of the modules of sql/ */
export const statementsOfOperations = sql => ({
  insert_audit_event: user => sql.insertAuditEvent({
    event: 'user_created', userId: user.userId, actorId: null, ip: '127.0.0.1', detail: { roles: ['user'] }
  }),
  audit_page: user => sql.auditPage({ ...PAGE, before: user.userId + 1000 }),
  audit_page_by_user: user => sql.auditPageByUser({ ...PAGE, user: user.userId }),
  audit_page_by_event: user => sql.auditPageByEvent({ ...PAGE, before: user.userId + 1000, event: 'user_created' }),
  audit_page_by_user_and_event: user =>
    sql.auditPageByUserAndEvent({ ...PAGE, user: user.userId, event: 'user_created' }),
  purge_sessions: () => sql.purgeSessions(EXPIRED),
  purge_keys: () => sql.purgeKeys(EXPIRED),
  purge_counters: () => sql.purgeCounters(EXPIRED),
  purge_networks: () => sql.purgeNetworks(EXPIRED),
  purge_audit_events: () => sql.purgeAuditEvents(EXPIRED, 90),
  purge_mails: () => sql.purgeMails(EXPIRED),
  purge_email_tokens: () => sql.purgeEmailTokens(EXPIRED),
  purge_challenges: () => sql.purgeChallenges(EXPIRED),
  purge_unverified_users: () => sql.purgeUnverifiedUsers(50),
  delete_zero_counter: user => sql.deleteZeroCounter(`refresh:${user.username}`),
  ping: () => sql.ping(),
  notify_proof: user => sql.notifyProof(`proof ${user.newId}`)
})
