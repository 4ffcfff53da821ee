const passwordOf = ({ userId, credentialId }) => ({ userId, credentialId, version: 1 })

const SECRET = 'A'.repeat(64)

/** Passwords, second factors and challenges. @param sql the exports of the modules of sql/ */
export const statementsOfCredentials = sql => ({
  credentials_by_id: user => sql.credentialsById(user.userId),
  change_password: user => sql.changePassword(passwordOf(user), user.passwordHash.replace('t=2', 't=3')),
  rehash_password: user => sql.rehashPassword(passwordOf(user), user.passwordHash.replace('t=2', 't=3')),
  set_password: user => sql.setPassword(user.userId, user.passwordHash.replace('t=2', 't=3')),
  lock_credential: user => sql.lockCredential(passwordOf(user)),
  delete_password: user => sql.deletePassword(user.userId),
  delete_credentials: user => sql.deleteCredentials(user.userId),
  totp_of: user => sql.totpOf(user.userId),
  accept_totp_step: user => sql.acceptTotpStep(user.userId, user.totpId, SECRET, 2),
  insert_totp: user => sql.insertTotp(user.plain, SECRET, 1),
  delete_totp: user => sql.deleteTotp(user.userId),
  use_recovery_code: user => sql.useRecoveryCode(user.userId, user.hash('5')),
  replace_recovery_codes: user => sql.replaceRecoveryCodes(user.userId, Array.from('0123456789', user.hash)),
  factors_of: user => sql.factorsOf(user.userId),
  delete_lone_recovery_codes: user => sql.deleteLoneRecoveryCodes(user.userId),
  delete_second_factors: user => sql.deleteSecondFactors(user.userId),
  passkey_of: user => sql.passkeyOf(user.userId, user.hash('i')),
  take_passkey_challenge: user => sql.takePasskeyChallenge(user.hash('p'), user.hash('i'), user.hash('h')),
  use_passkey: user => sql.usePasskey({ userId: user.userId, credentialId: user.passkeyId }, 2),
  passkeys_of: user => sql.passkeysOf(user.userId),
  insert_passkey: user => sql.insertPasskey(user.userId, {
    id: user.newHash, publicKey: 'A'.repeat(103), userHandle: user.hash('h'), counter: 0, transports: [], name: 'key'
  }),
  rename_passkey: user => sql.renamePasskey(user.userId, user.passkeyId, 'tablet'),
  delete_passkey: user => sql.deletePasskey(user.userId, user.passkeyId),
  insert_challenge: user => sql.insertChallenge({ challenge: user.newHash, type: 'reauthentication', userId: user.userId }),
  challenged_sign_in: user => sql.challengedSignIn(user.hash('s'), '127.0.0.1'),
  take_challenge: user => sql.takeChallenge(user.hash('s'), 'sign-in'),
  pending_totp: user => sql.pendingTotp(user.userId, user.sessionId),
  delete_challenges: user => sql.deleteChallenges(user.userId)
})
