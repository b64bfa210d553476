-- What an operator said about commits that may be missing; NULL: all are there.
ALTER TABLE meta ADD COLUMN lost_time BLOB;
-- When this database was copied by `purveyor backup`; NULL in a database that gateways have used since.
ALTER TABLE meta ADD COLUMN copied_time INTEGER;

-- Every confirmation by an operator. Rows are never changed. Without lost_from nothing was lost.
CREATE TABLE confirmations (
  number INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  actor TEXT NOT NULL,
  alert TEXT NOT NULL,
  lost_from INTEGER,
  lost_until INTEGER
) STRICT;
