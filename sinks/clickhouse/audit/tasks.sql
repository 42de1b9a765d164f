-- Tasks: each of them from its events, and compared with its row. Between spans.sql and windows.sql.
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
        is_action AND span_in(partition, task_id, event_id) NOT IN (SELECT id FROM repetitions) AS is_counted,
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
            -- A human's time without a price: not a category, but then the task's cost is unknown.
            kind = 'intervention' AND ifNull(number, 0) > 0, 'unpriced',
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
        -- Sums of 128 bits: rows have 64, and what is more than those hold is a difference.
        sumIf(toUInt128(ifNull(input_tokens, 0)), uses_model) AS input_tokens,
        sumIf(toUInt128(ifNull(output_tokens, 0)), uses_model) AS output_tokens,
        sumIf(toUInt128(ifNull(cache_read_tokens, 0)), uses_model) AS cache_read_tokens,
        sumIf(toUInt128(ifNull(cache_write_tokens, 0)), uses_model) AS cache_write_tokens,
        sumIf(toUInt128(ifNull(reasoning_tokens, 0)), uses_model) AS reasoning_tokens,
        sumMapIf(map(toUInt16(bucket(toUInt64(at - start))), 1), is_counted) AS latency_us,

        countIf(uses_model AND is_unpriced) AS unpriced,
        argMaxIf(cost, claiming, is_account) AS root_cost,
        sumIf(toUInt128(nano), is_step) AS step_cost,
        sumMapIf(map(cost_category, toUInt128(nano)), cost_category != '') AS costs
    FROM counted
    GROUP BY partition, task_id
),

-- Rows as the fold wrote them, once for all that follows. One that is moving does not tell how it was at the end.
-- Not compared is what only the log knew: `seq`, `passed_on`, and when things were seen.
stored AS (
    SELECT
        partition,
        task_id,
        seq >= end_of(partition) AS is_moving,
        -- Whether an unfinished task was given up only the log's clock knew: this one bit is taken from here.
        status = 'abandoned' AS is_given_up,
        array(
            * EXCEPT (partition, epoch, task_id, seq, passed_on)
            EXCEPT (last_seen, claim_seen, given_up_seen, verdict_seen, intervened_seen, answered_seen)
            REPLACE (
                mapSort(interventions) AS interventions, mapSort(costs) AS costs,
                mapSort(latency_us) AS latency_us, mapSort(scores) AS scores
            )
            APPLY (x -> ifNull(toString(x), 'null'))
        ) AS columns
    FROM task_rows FINAL
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        AND ({whole:UInt8} = 1 OR task_id IN asked)
),

-- `events` is 0 where only the fold knows a task.
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
            events = 0, '',
            linked_to != '', 'linked',
            NOT is_task, 'announced',
            is_claimed, 'finished',
            is_given_up, 'abandoned',
            'open'
        ) AS status
    FROM facts
    LEFT JOIN runs USING (partition, task_id)
    FULL JOIN stored USING (partition, task_id)
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

compared_tasks AS (
    SELECT
        * EXCEPT (columns),
        if(empty(columns), {no_task:Array(String)}, columns) AS was,
        -- A row of which no event tells is right only if it tells nothing itself: that is how a repair leaves it.
        if(events = 0, arrayPushFront(arrayPopFront({no_task:Array(String)}), 'announced'), [
            status, task_source, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
            toString(start_at), toString(last_at),
            claim, toString(claim_at), toString(claim_explicit),
            verdict, toString(verdict_at), verifier, toString(weight),
            toString(mapSort(interventions)), toString(human_us),
            toString(answered), toString(complaint), ifNull(toString(satisfaction), 'null'),
            toString(events), toString(actions), toString(action_errors),
            toString(model_calls), toString(tool_calls), toString(tool_errors), toString(usage_known),
            toString(input_tokens), toString(output_tokens), toString(cache_read_tokens),
            toString(cache_write_tokens), toString(reasoning_tokens),
            toString(unpriced), ifNull(toString(root_cost), 'null'), toString(step_cost),
            toString(mapSort(costs)), toString(mapSort(latency_us)), toString(mapSort(scores)),
            toString(trace_ids),
            toString(run_failed), toString(untold_runs), toString(untold_successes), linked_to
        ]) AS is,
        if(is_moving, 0, arrayCount((a, b) -> a != b, was, is)) AS differing
    FROM tasks
),
