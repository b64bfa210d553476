-- Operations that ended long ago can be removed. What they claimed stays for ever, and so do changes
-- for their seven days, so neither refers to a row any more.

CREATE TABLE claims_2 (
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  request_id BLOB NOT NULL CHECK (length(request_id) = 16),
  claim_time INTEGER NOT NULL,
  PRIMARY KEY (account, kind, upstream_id)
) STRICT, WITHOUT ROWID;
INSERT INTO claims_2 SELECT account, kind, upstream_id, request_id, claim_time FROM claims;
DROP TABLE claims;
ALTER TABLE claims_2 RENAME TO claims;
CREATE INDEX claims_by_time ON claims (account, claim_time);

CREATE TABLE changes_2 (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  request_id BLOB NOT NULL CHECK (length(request_id) = 16),
  version INTEGER NOT NULL,
  -- The writing transaction, for engines with many writers. Here there is one, and it stays NULL.
  transaction_id INTEGER,
  -- When it was written, on the clock of this machine; what pruning goes by.
  time INTEGER NOT NULL
) STRICT;
-- In this order, so that the counter goes on from the last position.
INSERT INTO changes_2 SELECT position, request_id, version, transaction_id, time FROM changes
  ORDER BY position;
DROP TABLE changes;
ALTER TABLE changes_2 RENAME TO changes;

-- What ended, by when: a terminal row is never written again. Seven, eight and nine are the terminal
-- states.
CREATE INDEX operations_ended ON operations (update_time) WHERE state IN (7, 8, 9);

-- Listings of one provider, and of what did not succeed (yet), which is little of all there is.
CREATE INDEX operations_listed_by_provider ON operations (provider, create_time, request_id);
CREATE INDEX operations_unsuccessful ON operations (create_time, request_id) WHERE state <> 7;
