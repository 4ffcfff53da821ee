-- API keys, which machines present in place of an access token.

CREATE TABLE api_keys (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  id uuid NOT NULL,
  name text NOT NULL CONSTRAINT api_keys_name_form CHECK (length(name) BETWEEN 1 AND 64),
  -- SHA-256 of the secret, which has 160 random bits; base64url.
  secret_hash text NOT NULL CONSTRAINT api_keys_secret_hash_form CHECK (length(secret_hash) = 43),
  -- The roles that the key was given. It has those of them that its owner has.
  role_ids smallint[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- To within ten minutes.
  last_used_at timestamptz,
  -- NULL for a key that does not expire.
  expires_at timestamptz CONSTRAINT api_keys_expires_at_form CHECK (expires_at > created_at),
  PRIMARY KEY (user_id, id)
-- As for refresh_tokens: recording a use changes no indexed column, so it is a HOT update.
) WITH (fillfactor = 70);

-- A key does not name its owner. Not unique, so that the table can be distributed by user: ids are random.
CREATE INDEX api_keys_id_idx ON api_keys (id);

-- For the purge of expired keys.
CREATE INDEX api_keys_expires_at_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- As for refresh_tokens, in migration 0002. A new key notifies nobody, because no cache can hold it. Nor does a use.
CREATE TRIGGER invalidate_on_delete AFTER DELETE ON api_keys FOR EACH ROW
  WHEN (OLD.expires_at IS NULL OR OLD.expires_at > now()) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_change AFTER UPDATE OF user_id, id, secret_hash, role_ids, expires_at ON api_keys FOR EACH ROW
  WHEN ((OLD.user_id, OLD.id, OLD.secret_hash, OLD.role_ids, OLD.expires_at)
    IS DISTINCT FROM (NEW.user_id, NEW.id, NEW.secret_hash, NEW.role_ids, NEW.expires_at))
  EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_truncate AFTER TRUNCATE ON api_keys EXECUTE FUNCTION notify_invalidation();

-- The caches hold usernames since GET /api/auth/check responds with them.
CREATE TRIGGER invalidate_on_rename AFTER UPDATE OF username ON users FOR EACH ROW
  WHEN (OLD.username IS DISTINCT FROM NEW.username) EXECUTE FUNCTION notify_invalidation();

-- Disabling a user ends the user's keys, so that enabling the user again revives none. A trigger, for the same reasons
-- as the one that ends sessions.
CREATE FUNCTION delete_keys_of_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM api_keys WHERE user_id = NEW.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER delete_keys AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (NEW.disabled_at IS NOT NULL) EXECUTE FUNCTION delete_keys_of_disabled();

-- As in migration 0003.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.delete_keys_of_disabled() SET search_path = %I, pg_temp', current_schema(), current_schema());
END
$$;
