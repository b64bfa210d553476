-- The journal. Times that are compared are INTEGER nanoseconds since 1970 in UTC (1677 to 2262);
-- identifiers made here are the sixteen bytes of a UUID. Columns are named as the fields in
-- src/store/operation.rs; what no query looks into is one protobuf message, written by
-- src/store/encoding.rs.

-- What this database is. One row.
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  store_id BLOB NOT NULL CHECK (length(store_id) = 16),
  -- Written and emptied by the writer to learn whether commits succeed again.
  probe BLOB
) STRICT;

CREATE TABLE operations (
  request_id BLOB PRIMARY KEY NOT NULL CHECK (length(request_id) = 16),
  state INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  wake_time INTEGER,
  tries INTEGER NOT NULL,
  step INTEGER NOT NULL,
  blocked_by BLOB,
  protocol INTEGER NOT NULL,
  op INTEGER NOT NULL,
  owner TEXT NOT NULL,
  actor TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  account TEXT NOT NULL,
  target TEXT NOT NULL,
  upstream_target TEXT NOT NULL,
  -- RFC 3339 with nanoseconds: a caller may name any year, and no query compares it.
  start_before TEXT NOT NULL,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  exclusive BLOB NOT NULL,
  upstream BLOB NOT NULL,
  settle BLOB,
  message TEXT NOT NULL,
  error BLOB,
  candidates BLOB NOT NULL,
  notes BLOB NOT NULL,
  handle BLOB NOT NULL,
  baseline BLOB,
  view BLOB,
  request BLOB NOT NULL,
  -- Who tries, and until when; not part of the operation, and no commit of it changes them.
  lease_replica BLOB,
  lease_until INTEGER,
  -- From when the operation may be given out; NULL: nobody has to look at it.
  due_time INTEGER GENERATED ALWAYS AS (
    CASE WHEN lease_until > wake_time THEN lease_until ELSE wake_time END
  ) VIRTUAL
) STRICT;

CREATE INDEX operations_due ON operations (due_time, request_id) WHERE due_time IS NOT NULL;
CREATE INDEX operations_leased ON operations (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX operations_listed ON operations (create_time, request_id);
CREATE INDEX operations_listed_by_owner ON operations (owner, create_time, request_id);
CREATE INDEX operations_listed_by_target ON operations (target, create_time, request_id);
-- Seven, eight and nine are the terminal states.
CREATE INDEX operations_open ON operations (create_time, request_id) WHERE state NOT IN (7, 8, 9);
-- Two is Running.
CREATE INDEX operations_running ON operations (create_time, request_id) WHERE state = 2;
CREATE INDEX operations_blocked ON operations (blocked_by, create_time, request_id)
  WHERE blocked_by IS NOT NULL;

CREATE TABLE attempts (
  request_id BLOB NOT NULL REFERENCES operations (request_id),
  number INTEGER NOT NULL CHECK (number > 0),
  step INTEGER NOT NULL,
  nonce BLOB NOT NULL UNIQUE CHECK (length(nonce) = 16),
  call TEXT NOT NULL,
  effect INTEGER NOT NULL,
  permit_time INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  message TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  plugin TEXT NOT NULL,
  plugin_sha256 TEXT NOT NULL,
  answer_status INTEGER NOT NULL,
  answer BLOB NOT NULL,
  PRIMARY KEY (request_id, number)
) STRICT;

-- What open operations hold: one holder for each key.
CREATE TABLE locks (
  key TEXT PRIMARY KEY NOT NULL,
  request_id BLOB NOT NULL REFERENCES operations (request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX locks_of_operation ON locks (request_id);

-- What belongs to one operation for ever.
CREATE TABLE claims (
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  request_id BLOB NOT NULL REFERENCES operations (request_id),
  claim_time INTEGER NOT NULL,
  PRIMARY KEY (account, kind, upstream_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_by_time ON claims (account, claim_time);

-- Every commit of an operation, in commit order. A position is never used again.
CREATE TABLE changes (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  request_id BLOB NOT NULL REFERENCES operations (request_id),
  version INTEGER NOT NULL,
  -- The writing transaction, for engines with many writers. Here there is one, and it stays NULL.
  transaction_id INTEGER,
  -- When it was written, on the clock of this machine; what pruning goes by.
  time INTEGER NOT NULL
) STRICT;

-- Services on record.
CREATE TABLE services (
  provider TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  operation BLOB NOT NULL CHECK (length(operation) = 16),
  service BLOB NOT NULL,
  PRIMARY KEY (provider, upstream_id)
) STRICT;
