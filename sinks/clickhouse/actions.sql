-- Actions, each once, with their task: what they are told apart by, and what they took. After audit/spans.sql, so
-- that a call which two instrumentations tell counts here as it does in a task.
--
-- `minute` and the dimensions are those of the task: actions count where their task counts.
task_of AS (
    SELECT
        partition, task_id, tenant, workflow, stage, environment, agent, agent_version, model,
        if(case_type = '', 'unclassified', case_type) AS case_type,
        toStartOfMinute(if(status = 'finished', claim_at, last_at)) AS minute
    FROM tasks
    WHERE epoch = {epoch:UInt16} AND status IN ('open', 'finished', 'abandoned')
),

-- Who acted: the agent of the nearest agent run above. A span by itself often knows no more than its service.
nodes AS (
    SELECT
        span_in(partition, task_id, event_id) AS id,
        span_in(partition, task_id, concat(trace_id, ':', parent_id)) AS parent,
        kind = 'agent_run' AS is_run,
        toString(agent) AS agent
    FROM events
    WHERE span_id != ''
),
acting AS (
    WITH RECURSIVE descent AS (
        SELECT id, agent AS acting_agent, toUInt8(0) AS depth FROM nodes WHERE is_run
        UNION ALL
        SELECT node.id, descent.acting_agent, toUInt8(descent.depth + 1)
        FROM nodes AS node JOIN descent ON node.parent = descent.id
        WHERE NOT node.is_run AND descent.depth < 64
    )
    SELECT id, acting_agent FROM descent
),

counted_actions AS (
    SELECT
        partition, task_id,
        span_in(partition, task_id, event_id) AS id,
        toString(kind) AS action,
        if(kind = 'tool_call', toString(name), '') AS tool,
        toString(error_type) AS error_type,
        toString(agent) AS told_agent,
        toString(model) AS action_model,
        error_type != '' AS has_failed,
        kind IN ('model_call', 'embedding') AS uses_model,
        -- A call that failed and tells no tokens has used none.
        uses_model AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR has_failed) AS is_usage_known,
        if(uses_model, ifNull(input_tokens, 0), 0) AS input_tokens,
        if(uses_model, ifNull(output_tokens, 0), 0) AS output_tokens,
        if(uses_model, ifNull(cache_read_tokens, 0), 0) AS cache_read_tokens,
        if(uses_model, ifNull(cache_write_tokens, 0), 0) AS cache_write_tokens,
        if(uses_model, ifNull(reasoning_tokens, 0), 0) AS reasoning_tokens,
        toUInt16(bucket(toUInt64(at - start))) AS took
    FROM events
    WHERE kind IN ('model_call', 'tool_call', 'retrieval', 'embedding', 'guardrail')
        AND id NOT IN (SELECT id FROM repetitions)
)
