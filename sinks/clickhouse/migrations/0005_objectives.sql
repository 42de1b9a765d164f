-- What owners promised: every version of every workflow's OpenSLO documents. Nothing is ever changed or removed.
CREATE TABLE objective_rows (
    `workflow` String,
    `version` UInt32,
    `id` String,
    `text` String,
    `applied_at` Int64,
    `by` String,
    `why` String
) ENGINE = ReplacingMergeTree
ORDER BY (workflow, version, id);

-- Spans that are left out of a budget. The counts stay.
CREATE TABLE adjustment_rows (
    `id` String,
    `workflow` String,
    `slo` String,
    `objective` String,
    `start` UInt32,
    `end` UInt32,
    `by` String,
    `why` String,
    `at` Int64
) ENGINE = ReplacingMergeTree
ORDER BY id;

-- What people did about an alert: acknowledged it, or silenced it.
CREATE TABLE alert_action_rows (
    `id` String,
    `key` String,
    `kind` LowCardinality(String),
    `by` String,
    `why` String,
    `at` Int64,
    `until` UInt32
) ENGINE = ReplacingMergeTree
ORDER BY (key, id);

-- The state of each alert; the row with the greatest (progress, evaluated, revision) counts, here or among transitions.
CREATE TABLE alert_state_rows (
    `key` String,
    `progress` UInt32,
    `evaluated` UInt32,
    `revision` UInt32,
    `state` String,
    `rank` UInt64 MATERIALIZED bitOr(bitShiftLeft(toUInt64(evaluated), 32), revision)
) ENGINE = ReplacingMergeTree(rank)
ORDER BY (key, progress);

-- The history of each alert, and the state after each line of it. The same line written again changes nothing.
CREATE TABLE alert_transition_rows (
    `id` String,
    `key` String,
    `workflow` String,
    `slo` String,
    `objective` String,
    `at` UInt32,
    `change` LowCardinality(String),
    `notifies` UInt8,
    `started` UInt32,
    `transition` String,
    `progress` UInt32,
    `evaluated` UInt32,
    `revision` UInt32,
    `state` String
) ENGINE = ReplacingMergeTree
ORDER BY (key, id);

-- What was sent to whom, and what came of it.
CREATE TABLE notification_rows (
    `transition` String,
    `receiver` String,
    `delivered` UInt8,
    `at` Int64,
    `detail` String
) ENGINE = ReplacingMergeTree(at)
ORDER BY (transition, receiver, delivered);
