-- Whether the log arrived whole: a message of every offset, each with as many events as it can have.
-- What was sent again has an event in its message and none of its own in raw_events: a duplicate.
-- The answer is one row.
--
-- partitions, firsts, ends: equally long; of each partition the offsets from its first to below its end.
-- detail: how many messages with differences are told.
WITH
(p -> transform(p, {partitions:Array(UInt16)}, {firsts:Array(UInt64)}, toUInt64(0))) AS first_of,
(p -> transform(p, {partitions:Array(UInt16)}, {ends:Array(UInt64)}, toUInt64(0))) AS end_of,

envelopes AS (
    SELECT partition, offset, 1 AS is_told, events AS told, dead
    FROM envelope_rows
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
),

-- `reach`: how many events a message has at least, by the index of the last one that is known.
landed AS (
    SELECT partition, intDiv(first, 4096) AS offset, count() AS events, max(bitAnd(first, 4095)) + 1 AS reach
    FROM (
        SELECT partition, min(seq) AS first
        FROM raw_events
        WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        GROUP BY epoch, partition, task_id, hash
    )
    GROUP BY partition, offset
),

unreadable AS (
    SELECT partition, offset, count() AS kept
    FROM dead_letter_rows
    WHERE partition IN {partitions:Array(UInt16)} AND reason = 'not_an_action_message'
    GROUP BY partition, offset
),

messages AS (
    SELECT
        partition, toInt64(offset) AS offset,
        max(is_told) AS is_told, max(told) AS told, max(dead) AS dead,
        max(events) AS events, max(reach) AS reach, max(kept) AS kept
    FROM (
        SELECT partition, offset, is_told, told, dead, 0 AS events, 0 AS reach, 0 AS kept FROM envelopes
        UNION ALL
        SELECT partition, offset, 0, 0, 0, events, reach, 0 FROM landed
        UNION ALL
        SELECT partition, offset, 0, 0, 0, 0, 0, kept FROM unreadable
    )
    WHERE offset >= first_of(partition) AND offset < end_of(partition)
    GROUP BY partition, offset
),

-- A hole before the first envelope shows only by events that landed from there.
placed AS (
    SELECT
        *,
        min(if(is_told OR events > 0, offset, NULL)) OVER (PARTITION BY partition) AS earliest,
        max(if(is_told, offset, NULL)) OVER (
            PARTITION BY partition ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS told_before,
        ifNull(told_before + 1, earliest) AS expected
    FROM messages
),

-- The events of a trace whose task became known are in the log again as that task's; links are no news.
superseded AS (
    SELECT DISTINCT partition, task_id, hash
    FROM raw_events
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND task_id IN (
        SELECT task_id FROM raw_events
        WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND kind = 'link'
    )
),

-- What came after the link went straight on to the task, and landed there.
sent_on AS (
    SELECT sum(passed_on) AS passed_on
    FROM task_rows FINAL
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
),

judged AS (
    SELECT
        *,
        arrayFilter(difference -> difference.5 != difference.6, [
            (
                'gap', partition,
                arrayDistinct([toString(expected), toString(offset - 1)]),
                'envelopes', '0', toString(if(is_told, offset - expected, 0))
            ),
            (
                'message', partition, [toString(offset)],
                'events', toString(told), toString(if(is_told, greatest(told, reach), told))
            ),
            (
                'dead_letter', partition, [toString(offset)],
                'dead', toString(least(kept, dead)), toString(dead)
            )
        ]) AS differences
    FROM placed
)

SELECT
    sum(events) - (SELECT count() FROM superseded),
    sumIf(toInt64(told) - toInt64(events), is_told) - (SELECT passed_on FROM sent_on),
    sum(length(differences)),
    arrayFlatten(groupArraySortedIf({detail:UInt32})(differences, notEmpty(differences)))
FROM judged
SETTINGS optimize_aggregation_in_order = 1, prefer_column_name_to_alias = 1
