-- An account among all accounts of all plugins; empty in rows of older versions, which name it by
-- `account` alone.
ALTER TABLE operations ADD COLUMN account_key TEXT NOT NULL DEFAULT '';

-- Whose account each provider was when the upstream last told it.
CREATE TABLE accounts (
  provider TEXT PRIMARY KEY NOT NULL,
  plugin TEXT NOT NULL,
  origin TEXT NOT NULL,
  identity TEXT NOT NULL,
  -- What claims and locks of the provider belong to.
  key TEXT NOT NULL,
  seen_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What has just ended, by the time that is shown.
CREATE INDEX operations_ended_at ON operations (update_time) WHERE state IN (7, 8, 9);
