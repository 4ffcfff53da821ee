-- When and how the user of a session last authenticated (RFC 9470). No index and no trigger uses these columns, so that
-- renewing them is a HOT update that notifies nobody: a replica whose cache has the earlier time asks before it denies.

ALTER TABLE refresh_tokens
  ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),
  -- Authentication methods, as in the claim amr (RFC 8176).
  ADD COLUMN amr text[] NOT NULL DEFAULT '{pwd}'
    CONSTRAINT refresh_tokens_amr_form CHECK (cardinality(amr) > 0 AND amr <@ '{pwd,otp,hwk,mfa,fed}');

-- Sessions that exist already began with a sign-in. This rewrites the table once, where an UPDATE would leave a dead row
-- for each session.
ALTER TABLE refresh_tokens ALTER COLUMN authenticated_at TYPE timestamptz USING created_at;
