-- Whether the log arrived whole: a message of every offset, each with as many events as it can have; and
-- what became of its events. The answer is one row.
--
-- An event that its message brought and that has no row of its own in raw_events came before (a duplicate),
-- or its task had no room for it (a dead letter), or it came after its trace was linked to a task and was passed on to
-- that task. What had come by the trace
-- before has rows of its own and was passed on too: it is counted where it went, and the link is no event. So it
-- is with what named that trace as its task.
--
-- partitions, firsts, ends: equally long; of each partition the first offset for which differences are told,
-- and the offset at which it ends. detail: how many messages with differences are told.
-- late_after: microseconds; an event is late that lies further behind the newest event of an earlier message.
WITH
(p -> transform(p, {partitions:Array(UInt16)}, {firsts:Array(UInt64)}, toUInt64(0))) AS first_of,
(p -> transform(p, {partitions:Array(UInt16)}, {ends:Array(UInt64)}, toUInt64(0))) AS end_of,

envelopes AS (
    SELECT partition, offset, 1 AS is_told, events AS told, dead
    FROM envelope_rows
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
),

linked AS (
    SELECT partition, task_id FROM raw_events
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND kind = 'link'
),

-- `reach`: how many events a message has at least, by the index of the last one that is known.
landed AS (
    SELECT
        partition,
        intDiv(first, 4096) AS offset,
        count() AS kept,
        countIf(NOT is_link AND NOT (is_by_trace AND (partition, task_id) IN linked)) AS events,
        groupArrayIf(at, NOT is_link AND NOT (is_by_trace AND (partition, task_id) IN linked)) AS times,
        max(bitAnd(first, 4095)) + 1 AS reach
    FROM (
        SELECT
            partition, task_id, min(seq) AS first, argMin(at, seq) AS at,
            argMin(kind = 'link', seq) AS is_link,
            argMin(task_source = 'trace' OR match(task_id, '^[0-9a-f]{32}$'), seq) AS is_by_trace
        FROM raw_events
        WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        GROUP BY epoch, partition, task_id, hash
    )
    GROUP BY partition, offset
),

buried AS (
    SELECT
        partition, offset,
        countIf(reason = 'not_an_action_message') AS letters,
        sumIf(records, reason = 'task_full') AS surplus
    FROM dead_letter_rows FINAL
    WHERE partition IN {partitions:Array(UInt16)} AND reason IN ('not_an_action_message', 'task_full')
    GROUP BY partition, offset
),

messages AS (
    SELECT
        partition, toInt64(offset) AS offset,
        max(is_told) AS is_told, max(told) AS told, max(dead) AS dead,
        max(kept) AS kept, max(events) AS events, max(reach) AS reach,
        max(letters) AS letters, max(surplus) AS surplus, max(times) AS times
    FROM (
        SELECT
            partition, offset, is_told, told, dead, 0 AS kept, 0 AS events, 0 AS reach, 0 AS letters, 0 AS surplus,
            []::Array(Int64) AS times
        FROM envelopes
        UNION ALL
        SELECT partition, offset, 0, 0, 0, kept, events, reach, 0, 0, times FROM landed
        UNION ALL
        SELECT partition, offset, 0, 0, 0, 0, 0, 0, letters, surplus, [] FROM buried
    )
    WHERE offset < end_of(partition)
    GROUP BY partition, offset
),

-- A hole before the first envelope shows only by events that landed from there.
placed AS (
    SELECT
        *,
        min(if(is_told OR kept > 0, offset, NULL)) OVER (PARTITION BY partition) AS earliest,
        max(if(is_told, offset, NULL)) OVER (
            PARTITION BY partition ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS told_before,
        max(arrayMax(times)) OVER (
            PARTITION BY partition ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS newest_before,
        greatest(ifNull(told_before + 1, earliest), toInt64(first_of(partition))) AS expected
    FROM messages
),

judged AS (
    SELECT
        *,
        if(offset < first_of(partition), [], arrayFilter(difference -> difference.5 != difference.6, [
            (
                'gap', partition, arrayDistinct([toString(expected), toString(offset - 1)]),
                'envelopes', '0', toString(if(is_told, offset - expected, 0))
            ),
            (
                'message', partition, [toString(offset)],
                'events', toString(told), toString(if(is_told, greatest(told, reach), told))
            ),
            (
                'dead_letter', partition, [toString(offset)],
                'dead', toString(least(letters, dead)), toString(dead)
            )
        ])) AS differences
    FROM placed
),

passed_on AS (
    SELECT sum(passed_on) AS events
    FROM task_rows FINAL
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND status = 'linked'
)

SELECT
    sum(events),
    sumIf(toInt64(told) - toInt64(kept) - toInt64(surplus), is_told) - (SELECT events FROM passed_on),
    sum(arrayCount(at -> at < newest_before - {late_after:Int64}, times)),
    sum(length(differences)),
    arrayFlatten(groupArraySortedIf({detail:UInt32})(differences, notEmpty(differences)))
FROM judged
SETTINGS optimize_aggregation_in_order = 1, prefer_column_name_to_alias = 1
