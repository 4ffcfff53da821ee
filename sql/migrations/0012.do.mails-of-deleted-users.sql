-- The mails of a deleted user are dropped, and no longer deleted: they count for the limit of mails to an address.
-- Otherwise somebody who signs up, asks for mails to an address and deletes the user could start the count anew.

-- In the order in which requests lock them.
LOCK TABLE users, mails IN ACCESS EXCLUSIVE MODE;

-- NOT VALID, so that nobody waits while all rows are checked: the former constraint has already done so.
ALTER TABLE mails DROP CONSTRAINT mails_user_id_fkey,
  ADD CONSTRAINT mails_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL NOT VALID;

CREATE FUNCTION drop_mails_of_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE mails SET dropped_at = now(), user_id = NULL, data = '{}'
  WHERE user_id = OLD.id AND sent_at IS NULL AND failed_at IS NULL AND dropped_at IS NULL;
  RETURN OLD;
END
$$;

CREATE TRIGGER drop_mails BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION drop_mails_of_deleted();

-- As in migration 0003.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION %I.drop_mails_of_deleted() SET search_path = %I, pg_temp', current_schema(), current_schema());
END
$$;
