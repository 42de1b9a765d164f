-- Which messages with dead letters were sent again, and when the copy came to Kafka.
CREATE TABLE replay_rows (
    `topic` LowCardinality(String),
    `partition` UInt16,
    `offset` UInt64,
    `at` Int64
) ENGINE = ReplacingMergeTree(at)
ORDER BY (topic, partition, offset);

ALTER TABLE dead_letter_rows ADD COLUMN IF NOT EXISTS `replayed` Int64;

-- A dead letter is resolved when a later copy of its message was normalised and it did not come again.
CREATE VIEW dead_letters AS
SELECT
    dead.topic AS topic,
    dead.partition AS partition,
    dead.offset AS offset,
    dead.index AS index,
    dead.reason AS reason,
    dead.detail AS detail,
    dead.payload AS payload,
    fromUnixTimestamp64Micro(dead.received, 'UTC') AS received,
    if(again.at > dead.replayed, 'resolved', 'open') AS state,
    if(again.at > 0, fromUnixTimestamp64Micro(again.at, 'UTC'), NULL) AS replayed
FROM dead_letter_rows AS dead FINAL
LEFT JOIN (SELECT * FROM replay_rows FINAL) AS again
    ON again.topic = dead.topic AND again.partition = dead.partition AND again.offset = dead.offset;
