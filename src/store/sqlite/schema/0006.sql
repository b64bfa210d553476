-- The store's age: the time that somebody watched it. It began at the newest moment at which an older
-- store was certainly watched; windows, leases, wake times and retention are differences of ages.
ALTER TABLE meta ADD COLUMN age INTEGER NOT NULL DEFAULT 0;
-- The boot of the machine that wrote the age, and the moment on its CLOCK_BOOTTIME at which it is true.
ALTER TABLE meta ADD COLUMN boot_id BLOB CHECK (length(boot_id) = 16);
ALTER TABLE meta ADD COLUMN time_namespace INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN boot_ns INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET age = coalesce(
  (SELECT max(update_time) FROM operations),
  CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000000
);

-- The age when an operation was accepted and when it last changed; wake_time and lease_until are ages.
ALTER TABLE operations ADD COLUMN create_age INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN update_age INTEGER NOT NULL DEFAULT 0;
UPDATE operations SET create_age = create_time, update_age = update_time;
-- An hour is the longest that anything sleeps. What lies further ahead was written by a clock that was
-- set, and would sleep for as long as the clock was wrong.
UPDATE operations SET wake_time = (SELECT age FROM meta) + 3600000000000
  WHERE wake_time > (SELECT age FROM meta) + 3600000000000;
UPDATE operations SET lease_until = (SELECT age FROM meta) + 3600000000000
  WHERE lease_until > (SELECT age FROM meta) + 3600000000000;

ALTER TABLE attempts ADD COLUMN permit_age INTEGER NOT NULL DEFAULT 0;
UPDATE attempts SET permit_age = min(permit_time, (SELECT age FROM meta));

-- Claims and changes date from an age as well.
UPDATE claims SET claim_time = (SELECT age FROM meta) WHERE claim_time > (SELECT age FROM meta);
UPDATE changes SET time = (SELECT age FROM meta) WHERE time > (SELECT age FROM meta);

-- What ended, by when on both clocks.
DROP INDEX operations_ended;
CREATE INDEX operations_ended ON operations (update_age, update_time) WHERE state IN (7, 8, 9);

-- What stays of an operation that was removed, for good: its request id is never accepted again.
CREATE TABLE pruned (
  request_id BLOB PRIMARY KEY NOT NULL CHECK (length(request_id) = 16),
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  state INTEGER NOT NULL,
  end_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
