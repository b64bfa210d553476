-- What waits for an upstream is asked for by provider, many at once, and however much of it there is,
-- it stands in the way of nothing else that is due. Three is WaitingUpstream.
DROP INDEX operations_due;
CREATE INDEX operations_due ON operations (due_time, request_id)
  WHERE due_time IS NOT NULL AND state <> 3;
CREATE INDEX operations_waiting ON operations (provider, due_time, request_id)
  WHERE due_time IS NOT NULL AND state = 3;

-- Listings of what did not succeed (yet), each state by itself. Seven is Succeeded.
DROP INDEX operations_unsuccessful;
CREATE INDEX operations_listed_by_state ON operations (state, create_time, request_id)
  WHERE state <> 7;
