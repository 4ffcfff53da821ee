-- Disabled users, the notifications that invalidate the session caches of all replicas, the audit log and the counters
-- of limits.

ALTER TABLE users ADD COLUMN disabled_at timestamptz;

-- For pages of the users who have a role, and for the check whether there is another admin.
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id, user_id);

-- For the purge of expired sessions. A refresh does not change this column, so it stays a HOT update.
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- Every change that affects what a session allows notifies all replicas with the user's id, or '*' for all users.
-- Triggers, so that manual changes count too. Row triggers, because a false WHEN costs nothing; PostgreSQL sends equal
-- notifications of one transaction only once.
CREATE FUNCTION notify_invalidation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('gatehouse_invalidation', '*');
  ELSIF TG_TABLE_NAME = 'users' THEN
    PERFORM pg_notify('gatehouse_invalidation', OLD.id::text);
  ELSE
    IF TG_OP <> 'INSERT' THEN
      PERFORM pg_notify('gatehouse_invalidation', OLD.user_id::text);
    END IF;
    -- Not for the roles of a sign-up: no cache can hold a user whom this transaction creates.
    IF TG_OP <> 'DELETE' AND NOT EXISTS (SELECT FROM users WHERE id = NEW.user_id AND created_at = now()) THEN
      PERFORM pg_notify('gatehouse_invalidation', NEW.user_id::text);
    END IF;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER invalidate_on_delete AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_disable AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (OLD.disabled_at IS DISTINCT FROM NEW.disabled_at) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_truncate AFTER TRUNCATE ON users EXECUTE FUNCTION notify_invalidation();

CREATE TRIGGER invalidate_on_change AFTER INSERT OR UPDATE OR DELETE ON user_roles FOR EACH ROW EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_truncate AFTER TRUNCATE ON user_roles EXECUTE FUNCTION notify_invalidation();

-- NOTIFY takes a lock on the whole server at commit, so the hot paths avoid it: neither a sign-in (INSERT) nor a
-- refresh (none of these columns changes) notifies. Nor does the purge: an expired session allows nothing.
CREATE TRIGGER invalidate_on_delete AFTER DELETE ON refresh_tokens FOR EACH ROW
  WHEN (OLD.expires_at > now()) EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_move AFTER UPDATE OF user_id, id, expires_at ON refresh_tokens FOR EACH ROW
  WHEN ((OLD.user_id, OLD.id, OLD.expires_at) IS DISTINCT FROM (NEW.user_id, NEW.id, NEW.expires_at))
  EXECUTE FUNCTION notify_invalidation();
CREATE TRIGGER invalidate_on_truncate AFTER TRUNCATE ON refresh_tokens EXECUTE FUNCTION notify_invalidation();

-- Disabling a user ends the user's sessions, so that enabling the user again revives no token. In a trigger, the DELETE
-- also sees the sessions of concurrent sign-ins that the UPDATE waited for.
CREATE FUNCTION end_sessions_of_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM refresh_tokens WHERE user_id = NEW.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER end_sessions AFTER UPDATE OF disabled_at ON users FOR EACH ROW
  WHEN (NEW.disabled_at IS NOT NULL) EXECUTE FUNCTION end_sessions_of_disabled();

-- Changes of users. No foreign keys, because audit events outlive users.
CREATE TABLE audit_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  event text NOT NULL CONSTRAINT audit_events_event_form CHECK (event ~ '^[a-z_]{1,64}$'),
  -- The user who was changed, and the user who acted (NULL for an unauthenticated request).
  user_id bigint NOT NULL,
  actor_id bigint,
  ip text CONSTRAINT audit_events_ip_form CHECK (length(ip) <= 64),
  detail jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_events_user_id_idx ON audit_events (user_id, id);
CREATE INDEX audit_events_event_idx ON audit_events (event, id);

CREATE FUNCTION reject_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events EXECUTE FUNCTION reject_change();

-- Counters of limits, with the columns that rate-limiter-flexible expects; expire is in milliseconds since the Unix
-- epoch. UNLOGGED: a crash of the server may lose counters, and a sign-in need not wait for the disk.
CREATE UNLOGGED TABLE rate_limits (
  key text PRIMARY KEY,
  points integer NOT NULL DEFAULT 0,
  expire bigint
);

CREATE INDEX rate_limits_expire_idx ON rate_limits (expire);
