-- Second factors: TOTP, passkeys and recovery codes are credentials, and the challenges of sign-ins and of WebAuthn.

ALTER TABLE credentials
  -- {"secret": base64 of the encrypted secret, "lastStep": the last time step whose code was accepted}
  ADD CONSTRAINT credentials_totp_form CHECK (kind <> 'totp' OR coalesce(
    jsonb_typeof(data -> 'secret') = 'string' AND jsonb_typeof(data -> 'lastStep') = 'number', false)),
  -- {"hashes": [SHA-256 of each code that is left, base64url]}
  ADD CONSTRAINT credentials_recovery_codes_form CHECK (kind <> 'recovery_codes' OR coalesce(
    jsonb_typeof(data -> 'hashes') = 'array', false)),
  -- {"id", "publicKey", "userHandle": base64url, "counter", "name", "transports"}
  ADD CONSTRAINT credentials_passkey_form CHECK (kind <> 'passkey' OR coalesce(
    length(data ->> 'id') BETWEEN 1 AND 1400 AND length(data ->> 'publicKey') <= 2800
    AND length(data ->> 'userHandle') = 43 AND jsonb_typeof(data -> 'counter') = 'number'
    AND length(data ->> 'name') BETWEEN 1 AND 64, false));

CREATE UNIQUE INDEX credentials_totp_key ON credentials (user_id) WHERE kind = 'totp';
CREATE UNIQUE INDEX credentials_recovery_codes_key ON credentials (user_id) WHERE kind = 'recovery_codes';

-- Whether a user has a second factor is asked at each sign-in and each refresh. Few rows are in this index.
CREATE INDEX credentials_second_factor_idx ON credentials (user_id) WHERE kind IN ('totp', 'passkey');

-- A sign-in with a passkey names no user.
CREATE INDEX credentials_passkey_id_idx ON credentials ((data ->> 'id')) WHERE kind = 'passkey';

-- UNLOGGED: a challenge lives for minutes, and a crash of the server or a failover must not revive one that was used.
CREATE UNLOGGED TABLE challenges (
  -- SHA-256 of the challenge, which has 256 random bits; base64url.
  hash text PRIMARY KEY CONSTRAINT challenges_hash_form CHECK (length(hash) = 43),
  type text NOT NULL CONSTRAINT challenges_type_form CHECK (type IN
    ('sign-in', 'password-reset', 'reauthentication', 'passkey-sign-in', 'passkey-registration', 'totp-enrolment')),
  -- NULL for a sign-in with a passkey, which names no user before the response.
  user_id bigint REFERENCES users ON DELETE CASCADE,
  -- The session that the challenge belongs to, if its user is signed in.
  session_id uuid,
  -- The password that was verified before, and its version.
  credential_id uuid,
  version integer,
  -- Of a TOTP enrolment {"secret"} as in credentials, of a registration {"userHandle"}.
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);

CREATE INDEX challenges_user_id_idx ON challenges (user_id);
CREATE INDEX challenges_expires_at_idx ON challenges (expires_at);

-- A second factor that is added or removed counts as a change of the password: a sign-in that has verified the password
-- before opens no session after it, and outstanding challenges are void. Triggers, so that manual changes count too.
CREATE FUNCTION count_second_factor_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed bigint := CASE TG_OP WHEN 'DELETE' THEN OLD.user_id ELSE NEW.user_id END;
BEGIN
  UPDATE credentials SET version = version + 1 WHERE user_id = changed AND kind = 'password';
  DELETE FROM challenges WHERE user_id = changed;
  RETURN NULL;
END
$$;

CREATE TRIGGER count_second_factor AFTER INSERT ON credentials FOR EACH ROW
  WHEN (NEW.kind IN ('totp', 'passkey')) EXECUTE FUNCTION count_second_factor_change();
CREATE TRIGGER count_second_factor_deleted AFTER DELETE ON credentials FOR EACH ROW
  WHEN (OLD.kind IN ('totp', 'passkey')) EXECUTE FUNCTION count_second_factor_change();

-- The session caches hold whether a user has a second factor.
CREATE TRIGGER invalidate_on_second_factor AFTER INSERT ON credentials FOR EACH ROW
  WHEN (NEW.kind IN ('totp', 'passkey')) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_second_factor_deleted AFTER DELETE ON credentials FOR EACH ROW
  WHEN (OLD.kind IN ('totp', 'passkey')) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_second_factor_moved AFTER UPDATE OF user_id, kind ON credentials FOR EACH ROW
  WHEN ((OLD.user_id, OLD.kind) IS DISTINCT FROM (NEW.user_id, NEW.kind)) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_truncate AFTER TRUNCATE ON credentials EXECUTE FUNCTION notify_invalidation();

-- Disabling a user also ends the user's challenges. Replaces the function of migration 0007.
CREATE OR REPLACE FUNCTION end_sessions_of_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM refresh_tokens WHERE user_id = NEW.id;
  DELETE FROM email_tokens WHERE user_id = NEW.id AND purpose <> 'undo';
  DELETE FROM challenges WHERE user_id = NEW.id;
  RETURN NULL;
END
$$;

-- As in migration 0003. Replacing a function removes its settings.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.count_second_factor_change() SET search_path = %I, pg_temp', current_schema(), current_schema());
  EXECUTE format('ALTER FUNCTION %I.end_sessions_of_disabled() SET search_path = %I, pg_temp', current_schema(), current_schema());
END
$$;
