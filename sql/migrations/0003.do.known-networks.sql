-- The networks that users have signed in from, the retention of audit events, and functions that no other schema can
-- redirect.

-- Sign-ins from these have a budget of wrong passwords of their own, so that guesses from elsewhere never delay them. An
-- IPv6 network is a /64, without the prefix length.
CREATE TABLE known_networks (
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  network text NOT NULL CONSTRAINT known_networks_network_form CHECK (length(network) <= 64),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- The time of the last sign-in, to within a day, in place of updated_at.
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, network)
);

-- For the purge of networks that have not been seen for 30 days.
CREATE INDEX known_networks_last_seen_at_idx ON known_networks (last_seen_at);

-- Audit events can be deleted once they are 90 days old (AUDIT_RETENTION), and never changed.
CREATE INDEX audit_events_created_at_idx ON audit_events (created_at);

CREATE FUNCTION reject_early_purge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.created_at <= now() - interval '90 days' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

DROP TRIGGER append_only ON audit_events;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_events EXECUTE FUNCTION reject_change();
CREATE TRIGGER retain_recent BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION reject_early_purge();

-- A role with the right to create objects in a schema earlier in the search_path could otherwise put a table of its own
-- in the place of refresh_tokens. Temporary tables come last.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['touch_updated_at', 'notify_invalidation', 'end_sessions_of_disabled',
    'reject_change', 'reject_early_purge'] LOOP
    EXECUTE format('ALTER FUNCTION %I.%I() SET search_path = %I, pg_temp', current_schema(), name, current_schema());
  END LOOP;
END
$$;
