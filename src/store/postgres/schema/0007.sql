-- An account among all accounts of all plugins; empty in rows of older versions, which name it by
-- `account` alone.
ALTER TABLE operations ADD COLUMN account_key text COLLATE "C" NOT NULL DEFAULT '';

-- Whose account each provider was when the upstream last told it.
CREATE TABLE accounts (
  provider text COLLATE "C" PRIMARY KEY,
  plugin text NOT NULL,
  origin text NOT NULL,
  identity text NOT NULL,
  -- What claims and locks of the provider belong to.
  key text NOT NULL,
  seen_time bigint NOT NULL
);

-- What has just ended, by the time that is shown.
CREATE INDEX operations_ended_at ON operations (update_time) WHERE state IN (7, 8, 9);
