-- Task rows as the fold wrote them against what the raw events say. The tail of recomputed.sql.
-- Not compared: `seq`, and `last_seen` and `passed_on`, which only the log knew. The answer is one row.
--
-- empty: the columns of a row that is not there. detail: how many differing rows are told in full.
stored AS (
    SELECT
        partition,
        task_id,
        seq >= end_of(partition) AS is_moving,
        array(
            * EXCEPT (partition, epoch, task_id, seq, last_seen, passed_on)
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

recomputed AS (
    SELECT
        partition,
        task_id,
        is_unsure,
        [
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
        ] AS columns
    FROM tasks
),

compared AS (
    SELECT
        partition,
        task_id,
        stored.is_moving OR recomputed.is_unsure AS is_skipped,
        if(empty(stored.columns), {empty:Array(String)}, stored.columns) AS was,
        if(empty(recomputed.columns), {empty:Array(String)}, recomputed.columns) AS is,
        if(is_skipped, 0, arrayCount((a, b) -> a != b, was, is)) AS differing
    FROM stored FULL JOIN recomputed USING (partition, task_id)
)

SELECT
    countIf(NOT is_skipped),
    countIf(is_skipped),
    sum(differing),
    groupArraySortedIf({detail:UInt32})((partition, [task_id], was, is), differing > 0)
FROM compared
SETTINGS join_use_nulls = 0, prefer_column_name_to_alias = 1, optimize_and_compare_chain = 0
