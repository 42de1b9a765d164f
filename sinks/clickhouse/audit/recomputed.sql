-- What the raw events say of each task, by the definitions of design section 4, in SQL alone.
-- This is the head of tasks.sql and windows.sql: a list of named queries, of which `tasks` is the last.
--
-- partitions, ends: equally long. Of a partition only positions below its end are looked at: up to
--                   there the rows of the fold are complete (see bounds.sql).
-- whole, start, end: 1 for everything; 0 for the tasks with an event in these whole minutes (seconds).
WITH
-- The log-linear histogram bucket of a duration in microseconds (`units.bucket`): below 128 a bucket
-- each, above 64 buckets for every power of two. `bin` writes whole bytes, so its leading zeros go.
(v -> length(bin(v)) - position(bin(v), '1') - 6) AS shift,
(v -> if(v < 128, v, 64 * shift(v) + bitShiftRight(v, shift(v)))) AS bucket,
-- What outranks what: first by a level of 0 to 3, then by a time in microseconds, then by an event's hash.
-- It is one number, and not a tuple, because that needs a tenth of the memory.
((level, time, hash) -> bitShiftLeft(toUInt128(level), 124) + bitShiftLeft(toUInt128(time + 576460752303423488), 64) + hash)
    AS rank,
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

spans AS (
    SELECT
        partition, task_id, hash, event_id AS id, concat(trace_id, ':', parent_id) AS parent,
        kind, kind IN ('agent_run', 'workflow_run', 'step', 'other') AS is_frame,
        error_type != '' AS has_failed, rank(0, at, hash) AS latest,
        start, at, toString(scope) AS scope, response_id, splitByChar('.', toString(name))[-1] AS tool
    FROM events
    WHERE is_frame OR kind IN ('model_call', 'tool_call', 'retrieval', 'embedding', 'guardrail', 'setup')
),

-- Instrumentations overlap, and tell a call twice. Either it lies, however deep, below its like: a model
-- call below a model call, a tool call below one of the same tool or with the same call id ...
below AS (
    WITH RECURSIVE descent AS (
        SELECT
            partition, task_id, hash, id, kind, tool, response_id,
            hash AS top_hash, kind AS top_kind, tool AS top_tool, response_id AS top_response_id,
            toUInt8(0) AS depth
        FROM spans
        WHERE kind IN ('model_call', 'tool_call')
        UNION ALL
        SELECT
            span.partition, span.task_id, span.hash, span.id, span.kind, span.tool, span.response_id,
            descent.top_hash, descent.top_kind, descent.top_tool, descent.top_response_id,
            toUInt8(descent.depth + 1)
        FROM descent
        JOIN spans AS span
            ON span.partition = descent.partition AND span.task_id = descent.task_id AND span.parent = descent.id
        WHERE descent.depth < 64 AND (descent.depth = 0 OR descent.hash != descent.top_hash)
    )
    SELECT partition, task_id, hash
    FROM descent
    WHERE depth > 0 AND kind = top_kind
        AND (kind = 'model_call' OR tool = top_tool OR (response_id != '' AND response_id = top_response_id))
),

-- ... or a model call gave the same answer as another one, of another scope and of the same time. Of the two
-- the SDK's own repeats the instrumentation's, else the shorter repeats the longer.
repetitions AS (
    SELECT
        partition, task_id,
        groupArray((
            hash, (partition, task_id, hash) IN below, scope, start, at,
            (scope != 'com.anthropic.sdk.python', at - start, bitNot(hash))
        ))::Array(Tuple(
            hash UInt64, is_below UInt8, scope String, start Int64, at Int64, merit Tuple(UInt8, Int64, UInt64)
        )) AS calls,
        arrayFilter(
            one -> one.is_below OR arrayExists(
                other -> NOT other.is_below AND other.scope != one.scope
                    AND one.start <= other.at AND other.start <= one.at AND other.merit > one.merit,
                calls
            ),
            calls
        ) AS repeated,
        arrayJoin(repeated.hash) AS hash
    FROM spans
    WHERE kind IN ('model_call', 'tool_call')
    GROUP BY partition, task_id, if(kind = 'model_call' AND response_id != '', response_id, toString(hash))
),

-- Whether a run failed: from the root that ended last along the frame that ended last, to the end. A root
-- is a frame whose parent is not here. Tasks of which no frame failed are left out.
families AS (
    SELECT
        partition, task_id, parent,
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
    GROUP BY partition, task_id, parent
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
        SELECT
            path.partition, path.task_id,
            path.roots, family.last_child, family.has_failed,
            toUInt8(path.depth + 1)
        FROM path
        JOIN families AS family
            ON family.partition = path.partition AND family.task_id = path.task_id AND family.parent = path.id
        WHERE family.children > 0 AND NOT path.has_failed AND path.depth < 64
    )
    SELECT partition, task_id, any(roots) AS roots, max(has_failed) AS is_failed_on_path
    FROM path
    GROUP BY partition, task_id
),

-- What an event is. (Conditions that build on each other are in queries of their own: ClickHouse would write
-- the inner one out in full at each place.)
actions AS (
    SELECT
        *,
        kind IN ('model_call', 'tool_call', 'retrieval', 'embedding', 'guardrail') AS is_action,
        kind IN ('agent_run', 'workflow_run') AS is_rollup,
        -- Spans that group others. Preparation is a span, but neither work nor a part of a run.
        kind IN ('agent_run', 'workflow_run', 'step', 'other') AS is_frame,
        error_type != '' AS has_failed,
        input_tokens IS NOT NULL OR output_tokens IS NOT NULL AS has_usage,
        -- A stated claim beats one that was read off a status; then the latest counts.
        rank(explicit, at, hash) AS claiming,
        rank(0, at, hash) AS latest
    FROM events
),
works AS (
    SELECT
        *,
        is_action OR is_frame OR kind = 'setup' AS is_span,
        is_action OR is_frame OR root = 1 OR kind IN ('claim', 'intervention') AS is_work,
        is_action AND (partition, task_id, hash) NOT IN (SELECT partition, task_id, hash FROM repetitions) AS is_counted,
        -- How well a piece of work knows what it belongs to; of equals the earliest.
        rank(multiIf(root = 1, 3, is_rollup, 2, is_action OR is_frame, 1, 0), -at, hash) AS telling
    FROM actions
),

-- What an event counts for. A call that is told already counts for nothing but its task's time and names.
counted AS (
    SELECT
        *,
        -- A plain span of a trace that no task is known for may be anybody's: it makes no task of it.
        is_work AND NOT (kind = 'other' AND task_source = 'trace' AND explicit = 0) AS is_of_an_agent,
        (is_span OR kind = 'claim') AND root = 1 AS is_claim,
        is_counted AND kind = 'model_call' AS is_model_call,
        is_counted AND kind = 'tool_call' AS is_tool_call,
        -- Tokens are those of leaf calls: the spans above repeat them.
        is_counted AND kind IN ('model_call', 'embedding') AS uses_model,
        -- A call that failed and tells no tokens has used none.
        has_usage OR has_failed AS is_usage_known,
        cost IS NULL AND (has_usage OR NOT has_failed) AS is_unpriced,
        -- A root's cost is the agent's own account of the task; a run's below it repeats its steps.
        is_span AND root = 1 AND cost IS NOT NULL AS is_account,
        is_counted AND root = 0 AND kind != 'tool_call' AS is_step,
        multiIf(
            kind = 'cost', name,
            kind = 'intervention' AND cost IS NOT NULL, 'human',
            root = 0 AND kind IN ('tool_call', 'step', 'other') AND cost IS NOT NULL, 'tool',
            ''
        ) AS cost_category,
        if(kind = 'tool_call' AND NOT is_counted, 0, ifNull(cost, 0)) AS nano
    FROM works
),

facts AS (
    SELECT
        partition,
        task_id,
        count() AS events,
        max(is_of_an_agent) AS is_task,
        max(is_claim) AS is_claimed,
        argMinIf(value, seq, kind = 'link') AS linked_to,
        if(
            countIf(task_source NOT IN ('', 'trace')) > 0,
            minIf(task_source, task_source NOT IN ('', 'trace')),
            max(task_source)
        ) AS task_source,

        argMaxIf(tenant, telling, is_work AND tenant != '') AS tenant,
        argMaxIf(workflow, telling, is_work AND workflow != '') AS workflow,
        argMaxIf(stage, telling, is_work AND stage != '') AS stage,
        argMaxIf(environment, telling, is_work AND environment != '') AS environment,
        argMaxIf(agent, telling, is_work AND agent != '') AS agent,
        argMaxIf(agent_version, telling, is_work AND agent_version != '') AS agent_version,
        argMaxIf(case_type, telling, is_work AND case_type != '') AS case_type,
        argMaxIf(model, telling, is_work AND model != '') AS model,

        minIf(start, is_span) AS start_at,
        greatest(maxIf(at, is_work), 0) AS last_at,
        arraySort(groupUniqArrayIf(trace_id, is_work AND trace_id != '')) AS trace_ids,

        argMaxIf(value, claiming, is_claim) AS told_claim,
        argMaxIf(at, claiming, is_claim) AS claim_at,
        argMaxIf(explicit, claiming, is_claim) AS claim_explicit,
        argMaxIf(value, latest, kind = 'verdict') AS verdict,
        argMaxIf(at, latest, kind = 'verdict') AS verdict_at,
        argMaxIf(name, latest, kind = 'verdict') AS verifier,
        argMaxIf(weight, latest, kind = 'verdict') AS weight,

        countIf(is_frame) AS frames,
        countIf(kind = 'agent_run') AS agent_runs,
        argMaxIf(has_failed, latest, kind = 'agent_run') AS is_last_run_failed,
        argMaxIf(has_failed, latest, kind = 'model_call') AS is_last_call_failed,
        countIf(kind = 'agent_run' AND scope = 'autogen-core') AS untold_runs,
        countIf(kind = 'agent_run' AND scope = 'autogen-core' AND NOT has_failed) AS untold_successes,

        sumMapIf(map(name, 1), kind = 'intervention') AS interventions,
        sumIf(ifNull(number, 0), kind = 'intervention') AS human_us,
        countIf(kind = 'feedback') > 0 AS answered,
        countIf(kind = 'feedback' AND flag = 1) > 0 AS complaint,
        argMaxIf(number, latest, kind = 'feedback' AND number IS NOT NULL) AS satisfaction,
        maxMapIf(map(name, (latest, assumeNotNull(number))), kind = 'score' AND number IS NOT NULL) AS last_scores,
        mapApply((evaluator, last) -> (evaluator, last.2), last_scores) AS scores,

        countIf(is_counted) AS actions,
        countIf(is_counted AND has_failed) AS action_errors,
        countIf(is_model_call) AS model_calls,
        countIf(is_tool_call) AS tool_calls,
        countIf(is_tool_call AND has_failed) AS tool_errors,
        countIf(is_model_call AND is_usage_known) AS usage_known,
        sumIf(ifNull(input_tokens, 0), uses_model) AS input_tokens,
        sumIf(ifNull(output_tokens, 0), uses_model) AS output_tokens,
        sumIf(ifNull(cache_read_tokens, 0), uses_model) AS cache_read_tokens,
        sumIf(ifNull(cache_write_tokens, 0), uses_model) AS cache_write_tokens,
        sumIf(ifNull(reasoning_tokens, 0), uses_model) AS reasoning_tokens,
        sumMapIf(map(toUInt16(bucket(toUInt64(at - start))), 1), is_counted) AS latency_us,

        countIf(is_model_call AND is_unpriced) AS unpriced,
        argMaxIf(cost, claiming, is_account) AS root_cost,
        sumIf(nano, is_step) AS step_cost,
        sumMapIf(map(cost_category, nano), cost_category != '') AS costs
    FROM counted
    GROUP BY partition, task_id
),

-- Whether an unfinished task was given up is known to the log's clock alone: this one bit, and nothing
-- else, is taken from the row of the fold. A row that is moving does not tell how it was at the end.
told AS (
    SELECT partition, task_id, status = 'abandoned' AS is_given_up, seq >= end_of(partition) AS is_moving
    FROM task_rows FINAL
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        AND ({whole:UInt8} = 1 OR task_id IN asked)
),

judged AS (
    SELECT
        *,
        multiIf(
            claim_explicit = 1, 0,
            frames = 0, is_last_call_failed,
            roots > 3 AND agent_runs > 0, is_last_run_failed,
            is_failed_on_path
        ) AS run_failed,
        multiIf(
            linked_to != '', 'linked',
            NOT is_task, 'announced',
            is_claimed, 'finished',
            is_given_up, 'abandoned',
            'open'
        ) AS status
    FROM facts
    LEFT JOIN runs USING (partition, task_id)
    LEFT JOIN told USING (partition, task_id)
),
tasks AS (
    SELECT
        *,
        -- A claim that nobody stated is what the spans tell.
        multiIf(NOT is_claimed, '', claim_explicit = 1, toString(told_claim), run_failed = 1, 'failure', 'success')
            AS claim,
        is_moving AND status IN ('abandoned', 'open') AS is_unsure
    FROM judged
),
