// The rows of a database with a number of users. User n, from 1, is the same at every size. One user in ten has every
// kind of credential, token, mail, challenge and key; one in a hundred is an admin. The rows of samples.js name them.

export const HASH = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

/** Rows of each table that the purge finds: one batch of plugins/housekeeping.ts at every size. */
export const EXPIRED = 500

/** Mails that have yet to be sent: the backlog does not depend on the number of users. */
export const PENDING = 100

/** The SQL of the id of a row that belongs to user n. Of version 7, so that ids ascend as those of sessions do. */
const uuid = kind => `('${kind}' || '0000000000070008000' || lpad(to_hex(n), 12, '0'))::uuid`

/** The SQL of a text of the length of a hash. */
const hash = kind => `'${kind}' || lpad(n::text, 42, '0')`

const every = (step, size) => `FROM generate_series(${step}::bigint, ${size}, ${step}) AS n`
const expired = `FROM generate_series(1::bigint, ${EXPIRED}) AS n`

const EVENT = `CASE WHEN n % 100 < 50 THEN 'user_created' WHEN n % 100 < 75 THEN 'authn_password_change'
  WHEN n % 100 < 95 THEN 'authn_token_revoked' ELSE 'user_updated' END`

/** The statements that fill the tables. @param size number of users, a multiple of 1000 */
export const rows = size => [
  `INSERT INTO users (username, email, email_verified_at)
    SELECT 'user' || n, 'user' || n || '@example.com', now() ${every(1, size)}`,
  `INSERT INTO users (username, email, unverified_until)
    SELECT 'unverified' || n, 'unverified' || n || '@example.com', now() - interval '1 hour' ${expired}`,
  `INSERT INTO user_roles (user_id, role_id) SELECT n, 1 ${every(1, size + EXPIRED)}`,
  `INSERT INTO user_roles (user_id, role_id) SELECT n, 3 ${every(100, size)}`,
  `INSERT INTO credentials (user_id, id, kind, data)
    SELECT n, ${uuid('a')}, 'password', '{"hash": "${HASH}"}' ${every(1, size + EXPIRED)}`,
  `INSERT INTO credentials (user_id, id, kind, data)
    SELECT n, ${uuid('b')}, 'totp', '{"secret": "${'A'.repeat(64)}", "lastStep": 1}' ${every(10, size)}`,
  `INSERT INTO credentials (user_id, id, kind, data)
    SELECT n, ${uuid('c')}, 'passkey', jsonb_build_object('id', ${hash('i')}, 'publicKey', '${'A'.repeat(103)}',
      'userHandle', ${hash('h')}, 'counter', 1, 'name', 'phone', 'transports', '["internal"]'::jsonb) ${every(10, size)}`,
  `INSERT INTO credentials (user_id, id, kind, data)
    SELECT n, ${uuid('d')}, 'recovery_codes', jsonb_build_object('hashes', ARRAY(
      SELECT c || lpad(n::text, 42, '0') FROM generate_series(0, 9) AS c)) ${every(10, size)}`,
  `INSERT INTO refresh_tokens (user_id, id, created_at, last_used_at, expires_at, ip, user_agent)
    SELECT n, ${uuid('0')}, now() - interval '1 hour', now() - interval '1 minute', now() + interval '30 days',
      '127.0.0.1', '${'Mozilla/5.0 '.repeat(8)}' ${every(1, size)}`,
  `INSERT INTO refresh_tokens (user_id, id, created_at, expires_at, ip)
    SELECT n, ${uuid('1')}, now() - interval '2 days', now() - interval '1 day', '127.0.0.1' ${expired}`,
  `INSERT INTO known_networks (user_id, network) SELECT n, '127.0.0.1' ${every(1, size)}`,
  `INSERT INTO known_networks (user_id, network, last_seen_at)
    SELECT n, '192.0.2.1', now() - interval '31 days' ${expired}`,
  `INSERT INTO audit_events (created_at, event, user_id, ip)
    SELECT now() - interval '91 days', ${EVENT}, n, '127.0.0.1' ${expired}`,
  `INSERT INTO audit_events (created_at, event, user_id, actor_id, ip, detail)
    SELECT now() - interval '80 days' + n * (interval '79 days' / ${size}), ${EVENT}, 1 + n * 7919 % ${size}, 100,
      '127.0.0.1', '{"roles": ["user"]}' ${every(1, size)}`,
  `INSERT INTO rate_limits (key, points, expire) SELECT 'refresh:user' || n, 1, 9999999999999 ${every(10, size)}`,
  `INSERT INTO rate_limits (key, points, expire) SELECT 'expired' || n, 1, 1 ${expired}`,
  `INSERT INTO mails (id, kind, recipient, user_id, created_at, sent_at)
    SELECT ${uuid('e')}, 'verification', 'user' || n || '@example.com', n, now(), now() ${every(10, size)}`,
  `INSERT INTO mails (kind, recipient, created_at, sent_at)
    SELECT 'email-taken', 'user' || n || '@example.com', now() - interval '2 days', now() ${expired}`,
  `INSERT INTO mails (id, kind, recipient, user_id)
    SELECT ${uuid('f')}, 'verification', 'user' || n || '@example.com', n ${every(size / PENDING, size)}`,
  `INSERT INTO email_tokens (user_id, token_hash, purpose, code_hash, email, requested_at, expires_at)
    SELECT n, ${hash('v')}, 'verification', ${hash('c')}, 'user' || n || '@example.com', now() - interval '1 minute',
      now() + interval '1 day' ${every(10, size)}`,
  `INSERT INTO email_tokens (user_id, token_hash, purpose, email, requested_at, expires_at)
    SELECT n, ${hash('u')}, 'undo', 'former' || n || '@example.com', now(), now() + interval '7 days' ${every(10, size)}`,
  `INSERT INTO email_tokens (user_id, token_hash, purpose, email, requested_at, expires_at)
    SELECT n, ${hash('x')}, 'undo', 'expired' || n || '@example.com', now(), now() - interval '1 hour' ${expired}`,
  `INSERT INTO challenges (hash, type, user_id, credential_id, version, expires_at)
    SELECT ${hash('s')}, 'sign-in', n, ${uuid('a')}, 1, now() + interval '1 day' ${every(10, size)}`,
  `INSERT INTO challenges (hash, type, expires_at)
    SELECT ${hash('p')}, 'passkey-sign-in', now() + interval '1 day' ${every(10, size)}`,
  `INSERT INTO challenges (hash, type, user_id, session_id, data, expires_at)
    SELECT ${hash('t')}, 'totp-enrolment', n, ${uuid('0')}, '{"secret": "${'A'.repeat(64)}"}', now() + interval '1 day'
    ${every(10, size)}`,
  `INSERT INTO challenges (hash, type, expires_at)
    SELECT ${hash('x')}, 'passkey-sign-in', now() - interval '1 hour' ${expired}`,
  `INSERT INTO api_keys (user_id, id, name, secret_hash, role_ids)
    SELECT n, ${uuid('2')}, 'key', ${hash('k')}, '{1,3}' ${every(10, size)}`,
  `INSERT INTO api_keys (user_id, id, name, secret_hash, role_ids, created_at, expires_at)
    SELECT n, ${uuid('3')}, 'expired', ${hash('x')}, '{1}', now() - interval '2 days', now() - interval '1 day'
    ${expired}`
]
