-- Verified e-mail addresses, and the secrets that mails carry to prove that a mailbox is the user's.

-- NULL until the user has proved to read mails sent to the address.
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

-- When a user who has not verified the address is deleted (UNVERIFIED_TTL). NULL for users who are kept: those from
-- before EMAIL_VERIFICATION=required, imported ones, and those whom an admin has created.
ALTER TABLE users ADD COLUMN unverified_until timestamptz;

CREATE INDEX users_unverified_until_idx ON users (unverified_until) WHERE unverified_until IS NOT NULL;

-- Using a token deletes its row, in the transaction of the change.
CREATE TABLE email_tokens (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  -- SHA-256 of the token, which has 256 bits; base64url, as the next.
  token_hash text NOT NULL CONSTRAINT email_tokens_token_hash_form CHECK (length(token_hash) = 43),
  purpose text NOT NULL CONSTRAINT email_tokens_purpose_form
    CHECK (purpose IN ('verification', 'password-reset', 'email-change', 'undo')),
  -- HMAC-SHA-256 of the six-digit code, with a key that is not in the database: a hash alone could be searched.
  code_hash text CONSTRAINT email_tokens_code_hash_form CHECK (length(code_hash) = 43),
  -- The address that the mail went to: the one to verify or, to undo a change, to restore.
  email text NOT NULL CONSTRAINT email_tokens_email_form
    CHECK (length(email) BETWEEN 3 AND 254 AND email ~ '^[!-~]+@[!-~]+$'),
  -- When the mail was requested. An older mail that is sent later does not replace the token of a newer one.
  requested_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, token_hash)
);

-- One live token per purpose. Every change of the address can be undone, so there can be several of these.
CREATE UNIQUE INDEX email_tokens_purpose_key ON email_tokens (user_id, purpose) WHERE purpose <> 'undo';

-- A token names no user, and a code names only the address.
CREATE INDEX email_tokens_token_hash_idx ON email_tokens (token_hash);
CREATE INDEX email_tokens_email_idx ON email_tokens (lower(email COLLATE "C"), purpose);

-- For the purge of expired tokens.
CREATE INDEX email_tokens_expires_at_idx ON email_tokens (expires_at);

-- Disabling a user also ends what was mailed before, so that enabling the user again revives no link. Replaces the
-- function of migration 0002.
CREATE OR REPLACE FUNCTION end_sessions_of_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM refresh_tokens WHERE user_id = NEW.id;
  DELETE FROM email_tokens WHERE user_id = NEW.id AND purpose <> 'undo';
  RETURN NULL;
END
$$;

-- As in migration 0003. Replacing a function removes its settings.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.end_sessions_of_disabled() SET search_path = %I, pg_temp', current_schema(), current_schema());
END
$$;
