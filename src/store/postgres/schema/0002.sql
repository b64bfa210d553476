-- Operations that ended long ago can be removed. What they claimed stays for ever, and so do changes
-- for their seven days, so neither refers to a row any more.
ALTER TABLE claims DROP CONSTRAINT claims_request_id_fkey;
ALTER TABLE changes DROP CONSTRAINT changes_request_id_fkey;

-- What ended, by when: a terminal row is never written again. Seven, eight and nine are the terminal
-- states.
CREATE INDEX operations_ended ON operations (update_time) WHERE state IN (7, 8, 9);

-- Listings of one provider, and of what did not succeed (yet), which is little of all there is.
CREATE INDEX operations_listed_by_provider ON operations (provider, create_time, request_id);
CREATE INDEX operations_unsuccessful ON operations (create_time, request_id) WHERE state <> 7;
