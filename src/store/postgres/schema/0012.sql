-- The OIDs of the database, the schema and its tables that were approved: what a dump that is restored does
-- not have.
ALTER TABLE meta ADD COLUMN objects text COLLATE "C" NOT NULL DEFAULT '';
-- What an operator said about commits that may be missing; NULL: all are there.
ALTER TABLE meta ADD COLUMN lost_time bytea;
-- When this database was copied by `purveyor backup`; NULL in a database that gateways have used since.
ALTER TABLE meta ADD COLUMN copied_time bigint;

-- Every confirmation by an operator. Rows are never changed. Without lost_from nothing was lost.
CREATE TABLE confirmations (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time bigint NOT NULL,
  actor text COLLATE "C" NOT NULL,
  alert text COLLATE "C" NOT NULL,
  lost_from bigint,
  lost_until bigint
);

-- Tells the server's timeline as well: a commit that an old primary acknowledges is not one of the store.
DROP FUNCTION take_position();
CREATE FUNCTION take_position(
  OUT next_position bigint, OUT transaction_id bigint, OUT timeline bigint
)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_lock(1347573337, 2);
  transaction_id := pg_current_xact_id()::text::bigint;
  next_position := nextval('positions');
  PERFORM pg_advisory_unlock(1347573337, 2);
  -- The name of a log file begins with its timeline.
  timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
END
$$;
