-- The journal, in a schema of its own. Times that are compared are nanoseconds since 1970 in UTC
-- (1677 to 2262), because timestamptz has no nanoseconds. Columns are named as the fields in
-- src/store/operation.rs; what no query looks into is one protobuf message, written by
-- src/store/encoding.rs. Texts are compared byte by byte; NUL, which they cannot hold, is written as
-- src/store/postgres/text.rs says.

-- What this database is. One row.
CREATE TABLE meta (
  one integer PRIMARY KEY CHECK (one = 1),
  store_id uuid NOT NULL,
  schema_version integer NOT NULL,
  -- The server and the timeline that an operator, or the first start, has approved. Others mean that
  -- commits which were acknowledged can be missing.
  system_identifier bigint NOT NULL,
  timeline bigint NOT NULL,
  -- How often an operator has approved.
  approvals bigint NOT NULL DEFAULT 0
);

CREATE TABLE operations (
  request_id uuid PRIMARY KEY,
  state integer NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  create_time bigint NOT NULL,
  update_time bigint NOT NULL,
  wake_time bigint,
  tries bigint NOT NULL,
  step bigint NOT NULL,
  blocked_by uuid,
  protocol bigint NOT NULL,
  op integer NOT NULL,
  owner text COLLATE "C" NOT NULL,
  actor text COLLATE "C" NOT NULL,
  trace_id text COLLATE "C" NOT NULL,
  provider text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  upstream_target text COLLATE "C" NOT NULL,
  -- RFC 3339 with nanoseconds: a caller may name any year, and no query compares it.
  start_before text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
  exclusive bytea NOT NULL,
  upstream bytea NOT NULL,
  settle bytea,
  message text COLLATE "C" NOT NULL,
  error bytea,
  candidates bytea NOT NULL,
  notes bytea NOT NULL,
  handle bytea NOT NULL,
  baseline bytea,
  view bytea,
  request bytea NOT NULL,
  -- Who tries, and until when; not part of the operation, and no commit of it changes them.
  lease_replica uuid,
  lease_until bigint,
  -- From when the operation may be given out; NULL: nobody has to look at it.
  due_time bigint GENERATED ALWAYS AS (
    CASE WHEN lease_until > wake_time THEN lease_until ELSE wake_time END
  ) STORED
);

CREATE INDEX operations_due ON operations (due_time, request_id) WHERE due_time IS NOT NULL;
CREATE INDEX operations_leased ON operations (lease_replica) WHERE lease_replica IS NOT NULL;
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
  request_id uuid NOT NULL REFERENCES operations (request_id),
  number bigint NOT NULL CHECK (number > 0),
  step bigint NOT NULL,
  nonce uuid NOT NULL UNIQUE,
  call text COLLATE "C" NOT NULL,
  effect integer NOT NULL,
  permit_time bigint NOT NULL,
  outcome integer NOT NULL,
  message text COLLATE "C" NOT NULL,
  upstream_id text COLLATE "C" NOT NULL,
  plugin text COLLATE "C" NOT NULL,
  plugin_sha256 text COLLATE "C" NOT NULL,
  answer_status integer NOT NULL,
  answer bytea NOT NULL,
  PRIMARY KEY (request_id, number)
);

-- What open operations hold: one holder for each key.
CREATE TABLE locks (
  key text COLLATE "C" PRIMARY KEY,
  request_id uuid NOT NULL REFERENCES operations (request_id)
);

CREATE INDEX locks_of_operation ON locks (request_id);

-- What belongs to one operation for ever.
CREATE TABLE claims (
  account text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  upstream_id text COLLATE "C" NOT NULL,
  request_id uuid NOT NULL REFERENCES operations (request_id),
  claim_time bigint NOT NULL,
  PRIMARY KEY (account, kind, upstream_id)
);

CREATE INDEX claims_by_time ON claims (account, claim_time);

-- Every commit of an operation. A position is never used again; some are never used.
CREATE TABLE changes (
  position bigint PRIMARY KEY,
  request_id uuid NOT NULL REFERENCES operations (request_id),
  version bigint NOT NULL,
  -- The writing transaction: a change is shown when all transactions up to it have ended.
  transaction_id xid8 NOT NULL,
  -- When it was written, on the clock of this server; what pruning goes by.
  time bigint NOT NULL
);

CREATE SEQUENCE positions AS bigint;

-- Takes a position and the transaction's id in one breath, so that their orders are the same: then
-- whatever is below the oldest running transaction stands below every change that can still come.
-- The lock is free again when this returns, and transactions still commit beside each other.
CREATE FUNCTION take_position(OUT next_position bigint, OUT transaction_id bigint)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_lock(1347573337, 2);
  transaction_id := pg_current_xact_id()::text::bigint;
  next_position := nextval('positions');
  PERFORM pg_advisory_unlock(1347573337, 2);
END
$$;

-- Services on record.
CREATE TABLE services (
  provider text COLLATE "C" NOT NULL,
  upstream_id text COLLATE "C" NOT NULL,
  operation uuid NOT NULL,
  service bytea NOT NULL,
  PRIMARY KEY (provider, upstream_id)
);

-- The processes that share this store, and when each was heard of last.
CREATE TABLE replicas (
  replica uuid PRIMARY KEY,
  seen_time bigint NOT NULL
);
