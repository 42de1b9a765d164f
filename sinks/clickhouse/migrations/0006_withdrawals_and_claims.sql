-- An adjustment can be taken back by a row that names it. Both stay.
ALTER TABLE adjustment_rows ADD COLUMN IF NOT EXISTS `withdraws` String;

-- Which replica of the alerter is about to tell a receiver that cannot recognise a message that it has already.
CREATE TABLE notification_claim_rows (
    `transition` String,
    `receiver` String,
    `replica` String,
    `at` Int64
) ENGINE = ReplacingMergeTree(at)
ORDER BY (transition, receiver, replica);
