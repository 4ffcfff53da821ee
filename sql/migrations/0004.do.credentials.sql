-- Credentials as rows of their own, so that a new kind of credential needs no new columns.

CREATE TABLE credentials (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  kind text NOT NULL CONSTRAINT credentials_kind_form CHECK (kind ~ '^[a-z_]{1,32}$'),
  -- Of a password: {"hash": …}.
  data jsonb NOT NULL CONSTRAINT credentials_data_form CHECK (jsonb_typeof(data) = 'object'),
  -- The number of changes, plus one. A sign-in that verified an earlier version opens no session.
  version integer NOT NULL DEFAULT 1 CONSTRAINT credentials_version_form CHECK (version > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The time of the last sign-in with it, to within a day.
  last_used_at timestamptz,
  PRIMARY KEY (user_id, id),
  -- argon2id, and what other systems store: bcrypt, pbkdf2 and scrypt in PHC notation, and bcrypt hashes that were hashed
  -- again, $argon2id-bcrypt$2b$10$<salt of bcrypt>$v=19$m=…,t=…,p=…$<salt>$<argon2id of the bcrypt hash>. This only keeps
  -- out what is no hash. The service decides which of them it verifies, and to any other the password is wrong.
  CONSTRAINT credentials_password_form CHECK (kind <> 'password' OR coalesce(length(data ->> 'hash') <= 512
    AND data ->> 'hash' ~ '^\$(argon2id|argon2id-bcrypt\$2[aby]|2[aby]|pbkdf2(-sha[0-9]+)?|scrypt)\$[!-~]*$', false))
);

CREATE UNIQUE INDEX credentials_password_key ON credentials (user_id) WHERE kind = 'password';

INSERT INTO credentials (user_id, kind, data, created_at, updated_at)
SELECT id, 'password', jsonb_build_object('hash', password_hash), created_at, updated_at FROM users;

ALTER TABLE users DROP COLUMN password_hash;

-- Not when a sign-in sets last_used_at.
CREATE TRIGGER touch_updated_at BEFORE UPDATE OF user_id, kind, data, version ON credentials FOR EACH ROW
  EXECUTE FUNCTION touch_updated_at();

-- A trigger, so that manual changes count too. A rehash, which announces itself by the setting gatehouse.rehash, leaves
-- the password as it is.
CREATE FUNCTION count_password_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('gatehouse.rehash', true) IS DISTINCT FROM 'on' THEN
    NEW.version := OLD.version + 1;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER count_password_change BEFORE UPDATE OF data ON credentials FOR EACH ROW
  WHEN (NEW.kind = 'password' AND (OLD.data -> 'hash') IS DISTINCT FROM (NEW.data -> 'hash'))
  EXECUTE FUNCTION count_password_change();

-- As in migration 0003.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.count_password_change() SET search_path = %I, pg_temp', current_schema(), current_schema());
END
$$;
