-- What the raw events say of tasks and windows, by the definitions of design section 4, in SQL alone.
-- One query in three files: the spans of a task together; tasks.sql; windows.sql. Its answer is one row.
--
-- partitions, ends: equally long. Of a partition only positions below its end are looked at: up to
--                   there the rows of the fold are complete (see bounds.sql).
-- whole, start, end: 1 for everything; 0 for the tasks with an event in these whole minutes (seconds), and
--                   the windows of these minutes.
-- no_task, no_window: the columns of a row that is not there: it equals one that counts nothing.
-- detail: how many differing rows of a kind are told in full.
WITH
-- The log-linear histogram bucket of a duration in microseconds (`units.bucket`): below 128 a bucket
-- each, above 64 buckets for every power of two. `bin` writes whole bytes, so its leading zeros go.
(v -> length(bin(v)) - position(bin(v), '1') - 6) AS shift,
(v -> if(v < 128, v, 64 * shift(v) + bitShiftRight(v, shift(v)))) AS bucket,
-- What outranks what: first by a level of 0 to 3, then by a time in microseconds, then by an event's hash.
-- It is one number, and not a tuple, because that needs a tenth of the memory.
((level, time, hash) -> bitShiftLeft(toUInt128(level), 124) + bitShiftLeft(toUInt128(time + 576460752303423488), 64) + hash)
    AS rank,
((p, task, span) -> sipHash64(p, task, span)) AS span_in,
-- From where on the rows of a partition may still be moving.
(p -> transform(p, {partitions:Array(UInt16)}, {ends:Array(UInt64)}, toUInt64(0))) AS end_of,

asked AS (
    SELECT task_id FROM raw_events
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        AND at >= {start:Int64} * 1000000 AND at < {end:Int64} * 1000000
    UNION DISTINCT
    SELECT task_id FROM task_rows
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        AND (if(claim != '', claim_at, last_at) AS counts_at) >= {start:Int64} * 1000000
        AND counts_at < {end:Int64} * 1000000
),

-- Each event of a task once: its first occurrence in the log, whatever parts are merged by now.
events AS (
    SELECT *
    FROM raw_events
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND task_id != ''
        AND seq < end_of(partition)
        AND ({whole:UInt8} = 1 OR task_id IN asked)
    ORDER BY epoch, partition, task_id, hash, seq
    LIMIT 1 BY partition, task_id, hash
),

-- A span and its parent are named by one number, of the task and the span's id together: so a join needs no
-- other key.
spans AS (
    SELECT
        partition, task_id, hash,
        span_in(partition, task_id, event_id) AS id,
        span_in(partition, task_id, concat(trace_id, ':', parent_id)) AS parent,
        kind IN ('agent_run', 'workflow_run', 'step', 'other') AS is_frame,
        kind IN ('model_call', 'tool_call') AS is_call,
        kind = 'model_call' AS is_model_call,
        -- Actions and runs: what lies below one of them is its own work.
        kind NOT IN ('step', 'other', 'setup') AS is_bound,
        error_type != '' AS has_failed,
        rank(0, at, hash) AS latest,
        start, at, scope,
        if(response_id = '', 0, sipHash64(response_id)) AS answer,
        sipHash64(splitByChar('.', toString(name))[-1]) AS tool,
        -- What calls have in common that may be one: their ids; of model calls what they tell, if they tell anything.
        arrayFilter(names -> names != 0, [
            if(answer = 0, 0, sipHash64(partition, task_id, is_model_call, answer, if(is_model_call, 0, tool))),
            if(
                is_model_call AND (has_failed OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL),
                sipHash64(
                    partition, task_id, model, ifNull(toInt64(input_tokens), -1), ifNull(toInt64(output_tokens), -1),
                    has_failed
                ),
                0
            )
        ]) AS names,
        (scope != 'com.anthropic.sdk.python', cost IS NOT NULL, answer != 0, toString(scope)) AS merit
    FROM events
    WHERE is_frame OR kind IN ('model_call', 'tool_call', 'retrieval', 'embedding', 'guardrail', 'setup')
),

-- Instrumentations overlap, and tell a call twice. Either the nearest action or run above it is its like: a model
-- call above a model call; above a tool call one with the same call id, or, if one has none, of the same tool ...
below AS (
    WITH RECURSIVE descent AS (
        SELECT
            id, is_call, is_bound, is_model_call, tool, answer,
            is_model_call AS is_top_model_call, tool AS top_tool, answer AS top_answer, toUInt8(0) AS depth
        FROM spans
        WHERE is_call AND id IN (SELECT parent FROM spans)
        UNION ALL
        SELECT
            span.id, span.is_call, span.is_bound, span.is_model_call, span.tool, span.answer,
            descent.is_top_model_call, descent.top_tool, descent.top_answer, toUInt8(descent.depth + 1)
        FROM spans AS span JOIN descent ON span.parent = descent.id
        WHERE descent.depth < 64 AND (descent.depth = 0 OR NOT descent.is_bound)
    )
    SELECT id
    FROM descent
    WHERE depth > 0 AND is_call AND is_model_call = is_top_model_call
        AND (is_model_call OR if(answer != 0 AND top_answer != 0, answer = top_answer, tool = top_tool))
),

-- ... or another one, of another scope and of the same time, has the same id, or the same model, tokens and failure
-- while one of the two has no id. The one that tells less repeats the other; the SDK's own always does.
repetitions AS (
    SELECT
        groupArray((id, is_below, answer, start, at, merit))::Array(Tuple(
            id UInt64, is_below UInt8, answer UInt64, start Int64, at Int64, merit Tuple(UInt8, UInt8, UInt8, String)
        )) AS calls,
        arrayFilter(
            one -> one.is_below OR arrayExists(
                other -> other.merit.4 != one.merit.4
                    AND one.start <= other.at AND other.start <= one.at
                    AND (one.answer = 0 OR other.answer IN (0, one.answer))
                    AND other.merit > one.merit,
                calls
            ),
            calls
        ) AS repeated,
        arrayJoin(repeated.id) AS id
    FROM (SELECT *, id IN below AS is_below FROM spans WHERE is_call)
    -- A call that is below another one is looked at alone.
    ARRAY JOIN if(is_below, [id], names) AS call
    WHERE is_below
        OR call IN (
            SELECT call FROM spans ARRAY JOIN names AS call WHERE is_call GROUP BY call HAVING min(scope) != max(scope)
        )
    GROUP BY call
),

-- Whether a run failed: from the root that ended last along the frame that ended last, to the end. A root
-- is a frame whose parent is not here. Tasks of which no frame failed are left out.
families AS (
    SELECT
        parent,
        any(partition) AS partition,
        any(task_id) AS task_id,
        max(is_self) AS is_here,
        countIf(is_child) AS children,
        argMaxIf(id, latest, is_child) AS last_child,
        argMaxIf(has_failed, latest, is_child) AS has_failed,
        maxIf(latest, is_child) AS ended
    FROM (
        SELECT partition, task_id, id, has_failed, latest, is_self, is_frame AND NOT is_self AS is_child, head AS parent
        FROM spans ARRAY JOIN [id, parent] AS head, [1, 0] AS is_self
        WHERE (partition, task_id) IN (
            SELECT partition, task_id FROM raw_events
            WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
                AND kind IN ('agent_run', 'workflow_run', 'step', 'other') AND error_type != ''
        )
    )
    GROUP BY parent
),
runs AS (
    WITH RECURSIVE path AS (
        SELECT
            partition, task_id,
            sum(children) AS roots, argMax(last_child, ended) AS id, argMax(has_failed, ended) AS has_failed,
            toUInt8(1) AS depth
        FROM families
        WHERE NOT is_here AND children > 0
        GROUP BY partition, task_id
        UNION ALL
        SELECT path.partition, path.task_id, path.roots, family.last_child, family.has_failed, toUInt8(path.depth + 1)
        FROM families AS family JOIN path ON family.parent = path.id
        WHERE family.children > 0 AND NOT path.has_failed AND path.depth < 64
    )
    SELECT partition, task_id, any(roots) AS roots, max(has_failed) AS is_failed_on_path
    FROM path
    GROUP BY partition, task_id
),
