-- What people and programs read: the rows that count, with times as times. Nobody can forget FINAL.
CREATE VIEW events AS
SELECT
    * EXCEPT (at, start, seq),
    fromUnixTimestamp64Micro(at, 'UTC') AS at,
    fromUnixTimestamp64Micro(start, 'UTC') AS start,
    seq
FROM raw_events FINAL;

CREATE VIEW windows AS
SELECT * EXCEPT (minute), toDateTime(minute, 'UTC') AS minute
FROM window_rows FINAL
WHERE tasks_finished + tasks_abandoned > 0;

CREATE VIEW tasks AS
SELECT
    * EXCEPT (start_at, last_at, last_seen, claim_at, verdict_at),
    fromUnixTimestamp64Micro(start_at, 'UTC') AS start_at,
    fromUnixTimestamp64Micro(last_at, 'UTC') AS last_at,
    fromUnixTimestamp64Micro(last_seen, 'UTC') AS last_seen,
    fromUnixTimestamp64Micro(claim_at, 'UTC') AS claim_at,
    fromUnixTimestamp64Micro(verdict_at, 'UTC') AS verdict_at
FROM task_rows FINAL;

CREATE VIEW dead_letters AS
SELECT * EXCEPT (received), fromUnixTimestamp64Micro(received, 'UTC') AS received
FROM dead_letter_rows FINAL;

CREATE VIEW envelopes AS
SELECT * EXCEPT (received), fromUnixTimestamp64Micro(received, 'UTC') AS received
FROM envelope_rows FINAL;
