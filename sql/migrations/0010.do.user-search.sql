-- The search of users (GET /api/users?search=…) for any part of a username or an e-mail address.

-- What the index has of a user: every run of three characters of "  username  email" in lower case, as a number of 21
-- bits, below the user's bucket. A bucket is a range of 2^15 ids, so that a page of a frequent text needs the users of
-- one or two buckets instead of all that match. Both texts are ASCII, which their constraints ensure. The two spaces
-- mark beginnings, for texts of one or two characters. Unlike pg_trgm, this needs no extension, and tells punctuation
-- apart. Only functions of pg_catalog are called, which no other schema can redirect.
CREATE FUNCTION search_keys(id bigint, username text, email text) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  value text := '  ' || lower(username COLLATE "C") || '  ' || lower(email COLLATE "C");
  bucket bigint := (id >> 15) << 21;
  run bigint := 0;
  keys bigint[] := '{}';
BEGIN
  FOR place IN 1 .. length(value) LOOP
    run := ((run << 7) | ascii(substr(value, place, 1))) & 2097151;
    IF place > 2 THEN
      keys[place - 2] := bucket | run;
    END IF;
  END LOOP;
  RETURN keys;
END
$$;

-- Not on a large table, because this blocks sign-ups until the index is built: docs/operations.md has the command that
-- does not. fastupdate = off, because searches would read the list of pending entries in addition to the index.
DO $$
BEGIN
  IF pg_relation_size('users') <= 128 * 1024 * 1024 THEN
    CREATE INDEX users_search_idx ON users USING gin (search_keys(id, username, email)) WITH (fastupdate = off);
  ELSE
    RAISE NOTICE 'users_search_idx is not created, because users is large; see docs/operations.md';
  END IF;
END
$$;
