-- Operations that ended long ago can be removed. What they claimed stays for ever, and so do changes
-- for their seven days, so neither refers to a row any more.
ALTER TABLE claims DROP CONSTRAINT claims_request_id_fkey;
ALTER TABLE changes DROP CONSTRAINT changes_request_id_fkey;

-- What ended, by when: a terminal row is never written again. Seven, eight and nine are the terminal
-- states.
CREATE INDEX operations_ended ON operations (update_time) WHERE state IN (7, 8, 9);
