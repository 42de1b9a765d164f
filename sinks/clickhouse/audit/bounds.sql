-- How far each partition can be audited beside a running worker, and from where its log was asked for.
--
-- A worker writes the rows of a batch, windows before tasks, and its envelopes last. So everything up to
-- the greatest envelope is complete, and a row with a greater `seq` is of a batch that may be in the
-- middle of being written. `end` is the first such position. It is read once, before anything else, and
-- handed to the other queries: what they see of the log is never less.
--
-- A partition with rows but without envelopes has the end 0: nothing of it is known to be complete.
--
-- start: microseconds; the log is asked for from the first message with this Kafka timestamp or a later one.
SELECT
    partition,
    max(next) * 4096 AS end,
    if(countIf(is_asked) = 0, max(next), minIf(next - 1, is_asked)) AS first_offset,
    sum(events)
FROM (
    SELECT partition, offset + 1 AS next, events, received >= {start:Int64} AS is_asked
    FROM envelope_rows
    WHERE epoch = {epoch:UInt16}
    UNION ALL
    SELECT DISTINCT partition, 0, 0, 0 FROM raw_events WHERE epoch = {epoch:UInt16}
    UNION ALL
    SELECT DISTINCT partition, 0, 0, 0 FROM window_rows WHERE epoch = {epoch:UInt16}
    UNION ALL
    SELECT DISTINCT partition, 0, 0, 0 FROM task_rows WHERE epoch = {epoch:UInt16}
)
GROUP BY partition
ORDER BY partition
