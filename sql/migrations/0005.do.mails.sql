-- The mails to send: a row is written in the transaction of the change that it tells of, and sent after the commit.

CREATE TABLE mails (
  -- Random, because it is part of the Message-ID, and secrets are derived from it with a key.
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  kind text NOT NULL CONSTRAINT mails_kind_form CHECK (kind ~ '^[a-z][a-z-]{0,63}$'),
  recipient text NOT NULL
    CONSTRAINT mails_recipient_form CHECK (length(recipient) BETWEEN 3 AND 254 AND recipient ~ '^[!-~]+@[!-~]+$'),
  -- NULL where the user is not known before the mail is sent, or is deleted.
  user_id bigint REFERENCES users ON DELETE CASCADE,
  -- Never a secret: links and codes are created when the mail is sent.
  data jsonb NOT NULL DEFAULT '{}' CONSTRAINT mails_data_form CHECK (jsonb_typeof(data) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0 CONSTRAINT mails_attempts_form CHECK (attempts >= 0),
  -- While a replica sends the mail, the end of its lease.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  -- At most one of these is set, and none until the end.
  sent_at timestamptz,
  failed_at timestamptz,
  dropped_at timestamptz,
  CONSTRAINT mails_outcome_form CHECK (num_nonnulls(sent_at, failed_at, dropped_at) <= 1)
);

-- For the mails that are due.
CREATE INDEX mails_next_attempt_at_idx ON mails (next_attempt_at)
  WHERE sent_at IS NULL AND failed_at IS NULL AND dropped_at IS NULL;

-- For the limit per recipient. COLLATE "C" as in users_email_key.
CREATE INDEX mails_recipient_idx ON mails (lower(recipient COLLATE "C"), created_at);

-- For the purge, and for the deletion of a user.
CREATE INDEX mails_created_at_idx ON mails (created_at);
CREATE INDEX mails_user_id_idx ON mails (user_id) WHERE user_id IS NOT NULL;
