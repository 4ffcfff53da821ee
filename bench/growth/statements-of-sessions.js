const RULES = { step: 0, grace: 10, idle: 0 }

const credentialOf = ({ userId, credentialId }) => ({ userId, credentialId, version: 1 })

const tokenOf = ({ userId, sessionId }, generation) => ({ userId, sessionId, generation })

/** Sign-ins, sessions and API keys. @param sql the exports of the modules of sql/ */
export const statementsOfSessions = sql => ({
  credentials_by_username: user => sql.credentialsByUsername(user.username, '127.0.0.1'),
  insert_session: user => sql.insertSession(credentialOf(user), {
    sessionId: user.newId,
    ttl: 86400,
    ip: '127.0.0.1',
    network: '127.0.0.1',
    userAgent: null,
    maxSessions: 50,
    amr: ['pwd']
  }),
  renew_session: user => sql.renewSession(credentialOf(user), { sessionId: user.sessionId, amr: ['pwd'], idle: 0 }),
  live_session: user => sql.liveSession(user.userId, user.sessionId, 0),
  lock_caller: user => sql.lockCaller(user.userId, user.sessionId),
  sessions_of: user => sql.sessionsOf(user.userId, 0),
  end_session: user => sql.endSession(user.userId, user.sessionId),
  end_sessions: user => sql.endSessions(user.userId),
  end_other_sessions: user => sql.endOtherSessions(user.userId, user.newId),
  end_some_sessions: () => sql.endSomeSessions(1000),
  rotate_session: user => sql.rotateSession(tokenOf(user, 1), RULES),
  // The session was not refreshed for a minute.
  end_rejected_session: user => sql.endRejectedSession(tokenOf(user, 0), { ...RULES, idle: 1 }),
  accepted_session: user => sql.acceptedSession(tokenOf(user, 0), RULES),
  live_key: user => sql.liveKey(user.keyId),
  insert_key: user => sql.insertKey({
    userId: user.userId,
    keyId: user.newId,
    name: 'key',
    secretHash: user.newHash,
    roles: ['user'],
    expiresAt: null,
    maxKeys: 50
  }),
  keys_of: user => sql.keysOf(user.userId),
  delete_key: user => sql.deleteKey(user.userId, user.keyId),
  delete_keys: user => sql.deleteKeys(user.userId),
  record_key_uses: user => sql.recordKeyUses([user])
})
