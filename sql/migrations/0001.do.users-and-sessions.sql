-- Users, their roles and their sessions. Migrations are append-only: the checksum in the table schemaversion stops the
-- start if an applied migration was edited. Add a new file instead.

CREATE TABLE roles (
  id smallint PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO roles (id, name) VALUES (1, 'user'), (2, 'moderator'), (3, 'admin');

CREATE TABLE users (
  -- bigint: rejected sign-ups consume ids too, and anybody can send them.
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  username text NOT NULL CONSTRAINT users_username_form CHECK (username ~ '^[A-Za-z0-9._-]{3,64}$'),
  email text NOT NULL CONSTRAINT users_email_form CHECK (length(email) BETWEEN 3 AND 254 AND email ~ '^[!-~]+@[!-~]+$'),
  password_hash text NOT NULL CONSTRAINT users_password_hash_form CHECK (password_hash LIKE '$argon2id$%'),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Stored as typed, unique regardless of case. COLLATE "C" because lower() otherwise follows the locale of the
-- database: in a Turkish one, 'ADMIN' and 'admin' are different.
CREATE UNIQUE INDEX users_username_key ON users (lower(username COLLATE "C"));
CREATE UNIQUE INDEX users_email_key ON users (lower(email COLLATE "C"));

CREATE TABLE user_roles (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  role_id smallint NOT NULL REFERENCES roles,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, role_id)
);

-- One row per session. The key begins with the user, so that the table can be distributed by user and a user's
-- sessions are stored together.
CREATE TABLE refresh_tokens (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  id uuid NOT NULL,
  -- The newest generation that was presented (lenient) or issued (strict); 0 at sign-in. bigint because a token has
  -- 32 unsigned bits.
  generation bigint NOT NULL DEFAULT 0 CONSTRAINT refresh_tokens_generation_form CHECK (generation >= 0),
  -- When the previous 8 generations were superseded, newest first: element (generation - g) belongs to generation g.
  -- An older generation counts as reused, even within its grace.
  superseded_at timestamptz[] NOT NULL DEFAULT '{}'
    CONSTRAINT refresh_tokens_superseded_at_form CHECK (cardinality(superseded_at) <= 8),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- The time of the last refresh, in place of updated_at.
  last_used_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL CONSTRAINT refresh_tokens_expires_at_form CHECK (expires_at > created_at),
  ip text NOT NULL CONSTRAINT refresh_tokens_ip_form CHECK (length(ip) <= 64),
  user_agent text CONSTRAINT refresh_tokens_user_agent_form CHECK (length(user_agent) <= 512),
  PRIMARY KEY (user_id, id)
-- Leaves room in every page for the next version of a row. Since a refresh changes no indexed column, it is then a HOT
-- update: no index is written, and the old version is reclaimed without VACUUM.
) WITH (fillfactor = 70);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

-- Triggers, so that manual changes count too. refresh_tokens, the most frequently written table, has none.
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON roles FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON user_roles FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
