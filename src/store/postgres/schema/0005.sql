-- What the host observed of an attempt: one row, written once, whatever became of the operation.
CREATE TABLE observations (
  request_id uuid NOT NULL,
  nonce uuid NOT NULL,
  observed integer NOT NULL CHECK (observed > 0),
  upstream_id text COLLATE "C" NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (request_id, nonce)
);

-- How much of that the operation reflects; 0: nothing.
ALTER TABLE attempts ADD COLUMN observed integer NOT NULL DEFAULT 0;

-- Upstream objects beside the operation's own one; NULL: there are none.
ALTER TABLE operations ADD COLUMN duplicates bytea;

-- A claim is never deleted: it is closed when its object is gone, or passes on. One open claim for each
-- object. 1 is Answer, the strongest origin, which older claims are taken to have.
ALTER TABLE claims DROP CONSTRAINT claims_pkey;
ALTER TABLE claims ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE claims ADD COLUMN origin integer NOT NULL DEFAULT 1;
ALTER TABLE claims ADD COLUMN closed_time bigint;
CREATE UNIQUE INDEX claims_open ON claims (account, upstream_id, kind) WHERE closed_time IS NULL;
CREATE INDEX claims_by_object ON claims (account, upstream_id, kind, id);
CREATE INDEX claims_closed ON claims (account, closed_time) WHERE closed_time IS NOT NULL;

-- A record is replaced only by who has read it.
ALTER TABLE services ADD COLUMN version bigint NOT NULL DEFAULT 1;
-- Since when reads show that the upstream has it no more.
ALTER TABLE services ADD COLUMN gone_since bigint;
