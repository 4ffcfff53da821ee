-- Disabled accounts, the announcements that empty the replicas' authority caches, the audit trail and the counters of
-- limits.

ALTER TABLE users ADD COLUMN disabled_at timestamptz;

-- For the holders of one role: a page of them, and whether there is another admin.
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id, user_id);

-- A refresh changes no indexed column, so this index, which the purge of expired sessions reads, keeps it HOT.
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- Whatever takes authority away or adds to it is announced by the user's id; '*' means everybody. Triggers, so that a
-- change made by hand counts too. By row, because a row trigger's WHEN costs nothing where it is false; PostgreSQL
-- sends equal announcements of one transaction once.
CREATE FUNCTION announce_authority() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('gatehouse_authority', '*');
  ELSIF TG_TABLE_NAME = 'users' THEN
    PERFORM pg_notify('gatehouse_authority', OLD.id::text);
  ELSE
    IF TG_OP <> 'INSERT' THEN
      PERFORM pg_notify('gatehouse_authority', OLD.user_id::text);
    END IF;
    -- The roles of a sign-up are no news: nobody can know a user that this transaction is only making.
    IF TG_OP <> 'DELETE' AND NOT EXISTS (SELECT FROM users WHERE id = NEW.user_id AND created_at = now()) THEN
      PERFORM pg_notify('gatehouse_authority', NEW.user_id::text);
    END IF;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER announce_delete AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION announce_authority();
CREATE TRIGGER announce_disabled AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (OLD.disabled_at IS DISTINCT FROM NEW.disabled_at) EXECUTE FUNCTION announce_authority();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON users EXECUTE FUNCTION announce_authority();

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON user_roles FOR EACH ROW EXECUTE FUNCTION announce_authority();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON user_roles EXECUTE FUNCTION announce_authority();

-- NOTIFY takes a lock of the whole server at commit, so the hot paths announce nothing: neither a sign-in (INSERT)
-- nor a refresh (no column of this trigger's list changes). An expired row has no authority left to take away.
CREATE TRIGGER announce_delete AFTER DELETE ON refresh_tokens FOR EACH ROW
  WHEN (OLD.expires_at > now()) EXECUTE FUNCTION announce_authority();
CREATE TRIGGER announce_moved AFTER UPDATE OF user_id, id, expires_at ON refresh_tokens FOR EACH ROW
  WHEN ((OLD.user_id, OLD.id, OLD.expires_at) IS DISTINCT FROM (NEW.user_id, NEW.id, NEW.expires_at))
  EXECUTE FUNCTION announce_authority();
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON refresh_tokens EXECUTE FUNCTION announce_authority();

-- Disabling an account ends its sessions, so that enabling it again brings no old token back to life. In a trigger
-- its DELETE sees the sessions of sign-ins that the UPDATE has waited for.
CREATE FUNCTION end_sessions_of_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM refresh_tokens WHERE user_id = NEW.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER end_sessions AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (NEW.disabled_at IS NOT NULL) EXECUTE FUNCTION end_sessions_of_disabled();

-- What was done to accounts. No foreign keys: the trail outlives the accounts.
CREATE TABLE audit_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  event text NOT NULL CONSTRAINT audit_events_event_form CHECK (event ~ '^[a-z_]{1,64}$'),
  -- the account it was done to, and who did it (NULL: nobody who was signed in)
  user_id bigint NOT NULL,
  actor_id bigint,
  ip text CONSTRAINT audit_events_ip_form CHECK (length(ip) <= 64),
  detail jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_events_user_id_idx ON audit_events (user_id, id);
CREATE INDEX audit_events_event_idx ON audit_events (event, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_events is append only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events EXECUTE FUNCTION refuse_change();

-- Counters of limits, in the columns that the package rate-limiter-flexible knows: expire is in milliseconds of Unix
-- time. UNLOGGED: a crash of the server may forget them, and a sign-in need not wait for them on the disk.
CREATE UNLOGGED TABLE rate_limits (
  key text PRIMARY KEY,
  points integer NOT NULL DEFAULT 0,
  expire bigint
);

CREATE INDEX rate_limits_expire_idx ON rate_limits (expire);
