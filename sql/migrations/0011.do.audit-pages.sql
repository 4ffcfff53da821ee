-- For pages of the audit events of a user that are of one kind. Pages by user alone, by kind alone and by time have
-- indexes since migration 0002.
--
-- This waits for no reader, but sign-ups and other writers of audit events wait for it. If the table is large, create
-- the index before the update, outside a transaction and with this name; docs/operations.md has the statement.
CREATE INDEX IF NOT EXISTS audit_events_user_id_event_idx ON audit_events (user_id, event, id);
