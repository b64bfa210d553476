-- What the host observed of an attempt: one row, written once, whatever became of the operation.
CREATE TABLE observations (
  request_id BLOB NOT NULL CHECK (length(request_id) = 16),
  nonce BLOB NOT NULL CHECK (length(nonce) = 16),
  observed INTEGER NOT NULL CHECK (observed > 0),
  upstream_id TEXT NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (request_id, nonce)
) STRICT, WITHOUT ROWID;

-- How much of that the operation reflects; 0: nothing.
ALTER TABLE attempts ADD COLUMN observed INTEGER NOT NULL DEFAULT 0;

-- Upstream objects beside the operation's own one; NULL: there are none.
ALTER TABLE operations ADD COLUMN duplicates BLOB;

-- A claim is never deleted: it is closed when its object is gone, or passes on. One open claim for each
-- object. 1 is Answer, the strongest origin, which older claims are taken to have.
CREATE TABLE claims_3 (
  id INTEGER PRIMARY KEY,
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  request_id BLOB NOT NULL CHECK (length(request_id) = 16),
  origin INTEGER NOT NULL,
  claim_time INTEGER NOT NULL,
  closed_time INTEGER
) STRICT;
INSERT INTO claims_3 (account, kind, upstream_id, request_id, origin, claim_time)
  SELECT account, kind, upstream_id, request_id, 1, claim_time FROM claims ORDER BY claim_time;
DROP TABLE claims;
ALTER TABLE claims_3 RENAME TO claims;
CREATE UNIQUE INDEX claims_open ON claims (account, upstream_id, kind) WHERE closed_time IS NULL;
CREATE INDEX claims_by_object ON claims (account, upstream_id, kind, id);
CREATE INDEX claims_closed ON claims (account, closed_time) WHERE closed_time IS NOT NULL;
CREATE INDEX claims_by_time ON claims (account, claim_time);

-- A record is replaced only by who has read it.
ALTER TABLE services ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- Since when reads show that the upstream has it no more.
ALTER TABLE services ADD COLUMN gone_since INTEGER;
