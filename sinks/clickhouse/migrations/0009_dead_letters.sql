-- How many records of its message a dead letter stands for.
ALTER TABLE dead_letter_rows ADD COLUMN IF NOT EXISTS `records` UInt16 DEFAULT 1;

-- Dead letters that nobody will mend: who says so, and why. `received` is the letter's own: another one in its place is
-- not meant.
CREATE TABLE discard_rows (
    `topic` LowCardinality(String),
    `partition` UInt16,
    `offset` UInt64,
    `index` Int32,
    `received` Int64,
    `at` Int64,
    `by` String,
    `why` String
) ENGINE = ReplacingMergeTree(at)
ORDER BY (topic, partition, offset, index);

-- A dead letter is resolved when a later copy of its message was normalised and it did not come again; it is discarded
-- when a person said so after it came last.
CREATE VIEW dead_letters AS
SELECT
    dead.topic AS topic,
    dead.partition AS partition,
    dead.offset AS offset,
    dead.index AS index,
    dead.reason AS reason,
    dead.detail AS detail,
    dead.payload AS payload,
    dead.records AS records,
    fromUnixTimestamp64Micro(dead.received, 'UTC') AS received,
    multiIf(again.at > dead.replayed, 'resolved', gone.at > dead.replayed, 'discarded', 'open') AS state,
    if(again.at > 0, fromUnixTimestamp64Micro(again.at, 'UTC'), NULL) AS replayed,
    if(gone.at > 0, fromUnixTimestamp64Micro(gone.at, 'UTC'), NULL) AS discarded,
    gone.by AS discarded_by,
    gone.why AS discarded_why
FROM dead_letter_rows AS dead FINAL
LEFT JOIN (SELECT * FROM replay_rows FINAL) AS again
    ON again.topic = dead.topic AND again.partition = dead.partition AND again.offset = dead.offset
LEFT JOIN (SELECT * FROM discard_rows FINAL) AS gone
    ON gone.topic = dead.topic AND gone.partition = dead.partition AND gone.offset = dead.offset
    AND gone.index = dead.index AND gone.received = dead.received;
