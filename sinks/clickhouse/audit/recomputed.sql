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
((level, time, hash) -> bitShiftLeft(toUInt128(level), 124) + bitShiftLeft(toUInt128(time + 576460752303423488), 64) + hash) AS rank,
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
    SELECT
        *,
        kind IN ('model_call', 'tool_call', 'retrieval', 'embedding', 'guardrail') AS is_action,
        kind IN ('agent_run', 'workflow_run') AS is_rollup,
        is_action OR is_rollup OR kind IN ('step', 'other') AS is_span,
        is_span OR kind IN ('claim', 'intervention') AS is_work,
        kind = 'claim' OR (is_span AND root = 1) AS is_claim,
        -- Tokens are those of leaf calls: the spans above repeat them.
        kind IN ('model_call', 'embedding') AS uses_model,
        -- A root's cost is the agent's own account of the task; a roll-up below it repeats its steps.
        is_span AND root = 1 AND cost IS NOT NULL AS is_account,
        is_span AND root = 0 AND is_action AND kind != 'tool_call' AS is_step_cost,
        multiIf(
            kind = 'cost', name,
            kind = 'intervention' AND cost IS NOT NULL, 'human',
            root = 0 AND kind IN ('tool_call', 'step', 'other') AND cost IS NOT NULL, 'tool',
            ''
        ) AS cost_category,
        -- How well a piece of work knows what it belongs to; of equals the earliest.
        rank(multiIf(root = 1, 3, is_rollup, 2, is_span, 1, 0), -at, hash) AS telling,
        -- A stated claim beats one that was read off a status; then the latest counts.
        rank(explicit, at, hash) AS claiming,
        rank(0, at, hash) AS latest
    FROM (
        SELECT * EXCEPT (attributes, event_id, span_id, parent_id)
        FROM raw_events
        WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)} AND task_id != ''
            AND seq < end_of(partition)
            AND ({whole:UInt8} = 1 OR task_id IN asked)
        ORDER BY epoch, partition, task_id, hash, seq
        LIMIT 1 BY partition, task_id, hash
    )
),

facts AS (
    SELECT
        partition,
        task_id,
        count() AS events,
        max(is_work) AS has_work,
        max(is_claim) AS is_finished,
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

        argMaxIf(value, claiming, is_claim) AS claim,
        argMaxIf(at, claiming, is_claim) AS claim_at,
        argMaxIf(explicit, claiming, is_claim) AS claim_explicit,
        argMaxIf(value, latest, kind = 'verdict') AS verdict,
        argMaxIf(at, latest, kind = 'verdict') AS verdict_at,
        argMaxIf(name, latest, kind = 'verdict') AS verifier,
        argMaxIf(weight, latest, kind = 'verdict') AS weight,

        sumMapIf(map(name, 1), kind = 'intervention') AS interventions,
        sumIf(ifNull(number, 0), kind = 'intervention') AS human_us,
        countIf(kind = 'feedback') > 0 AS answered,
        countIf(kind = 'feedback' AND flag = 1) > 0 AS complaint,
        argMaxIf(number, latest, kind = 'feedback' AND number IS NOT NULL) AS satisfaction,
        maxMapIf(map(name, (latest, assumeNotNull(number))), kind = 'score' AND number IS NOT NULL) AS last_scores,
        mapApply((evaluator, last) -> (evaluator, last.2), last_scores) AS scores,

        countIf(is_action) AS actions,
        countIf(is_action AND error_type != '') AS action_errors,
        countIf(kind = 'model_call') AS model_calls,
        countIf(kind = 'tool_call') AS tool_calls,
        countIf(kind = 'tool_call' AND error_type != '') AS tool_errors,
        countIf(uses_model AND input_tokens IS NOT NULL) AS usage_known,
        sumIf(ifNull(input_tokens, 0), uses_model) AS input_tokens,
        sumIf(ifNull(output_tokens, 0), uses_model) AS output_tokens,
        sumIf(ifNull(cache_read_tokens, 0), uses_model) AS cache_read_tokens,
        sumIf(ifNull(cache_write_tokens, 0), uses_model) AS cache_write_tokens,
        sumIf(ifNull(reasoning_tokens, 0), uses_model) AS reasoning_tokens,
        sumMapIf(map(toUInt16(bucket(toUInt64(at - start))), 1), is_action) AS latency_us,

        countIf(kind = 'model_call' AND cost IS NULL) AS unpriced,
        argMaxIf(cost, claiming, is_account) AS root_cost,
        sumIf(ifNull(cost, 0), is_step_cost) AS step_cost,
        sumMapIf(map(cost_category, ifNull(cost, 0)), cost_category != '') AS costs
    FROM events
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

tasks AS (
    SELECT
        *,
        multiIf(is_finished, 'finished', NOT has_work, 'announced', is_given_up, 'abandoned', 'open') AS status,
        has_work AND NOT is_finished AND is_moving AS is_unsure
    FROM facts LEFT JOIN told USING (partition, task_id)
),
