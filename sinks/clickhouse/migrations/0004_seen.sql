-- When the worker learnt what became of a task: alerts are about news.
ALTER TABLE task_rows
    ADD COLUMN IF NOT EXISTS `claim_seen` Int64 AFTER `passed_on`,
    ADD COLUMN IF NOT EXISTS `given_up_seen` Int64 AFTER `claim_seen`,
    ADD COLUMN IF NOT EXISTS `verdict_seen` Int64 AFTER `given_up_seen`,
    ADD COLUMN IF NOT EXISTS `intervened_seen` Int64 AFTER `verdict_seen`,
    ADD COLUMN IF NOT EXISTS `answered_seen` Int64 AFTER `intervened_seen`;

CREATE OR REPLACE VIEW tasks AS
SELECT
    * EXCEPT (start_at, last_at, last_seen, claim_at, verdict_at)
        EXCEPT (claim_seen, given_up_seen, verdict_seen, intervened_seen, answered_seen),
    fromUnixTimestamp64Micro(start_at, 'UTC') AS start_at,
    fromUnixTimestamp64Micro(last_at, 'UTC') AS last_at,
    fromUnixTimestamp64Micro(last_seen, 'UTC') AS last_seen,
    fromUnixTimestamp64Micro(claim_at, 'UTC') AS claim_at,
    fromUnixTimestamp64Micro(verdict_at, 'UTC') AS verdict_at,
    fromUnixTimestamp64Micro(claim_seen, 'UTC') AS claim_seen,
    fromUnixTimestamp64Micro(given_up_seen, 'UTC') AS given_up_seen,
    fromUnixTimestamp64Micro(verdict_seen, 'UTC') AS verdict_seen,
    fromUnixTimestamp64Micro(intervened_seen, 'UTC') AS intervened_seen,
    fromUnixTimestamp64Micro(answered_seen, 'UTC') AS answered_seen
FROM task_rows FINAL;
