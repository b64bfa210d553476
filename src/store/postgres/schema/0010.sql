-- Places are shared out among accounts, so what is due is found by account: however much of one is due, it
-- hides nothing of another. Three is WaitingUpstream.
DROP INDEX operations_due;
DROP INDEX operations_waiting;
CREATE INDEX operations_due ON operations (account_key, provider, due_time, request_id)
  WHERE due_time IS NOT NULL AND state <> 3;
CREATE INDEX operations_waiting ON operations (account_key, provider, due_time, request_id)
  WHERE due_time IS NOT NULL AND state = 3;

-- What may still be started, by when at the latest. One is Accepted, two is Running.
CREATE INDEX operations_unstarted ON operations (start_before, request_id) WHERE state IN (1, 2);
