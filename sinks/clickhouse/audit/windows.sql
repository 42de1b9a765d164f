-- Windows: what their tasks add up to, compared with their rows. The end of the query.

-- Finished tasks belong to the minute of their claim, abandoned ones to that of their last work. All others
-- go to a minute that there is not: so one reading of the events answers for tasks and for windows.
closed AS (
    SELECT
        *,
        status = 'finished' AS is_finished,
        intDiv(if(status = 'finished', claim_at, last_at), 60000000) * 60 AS own_minute,
        (is_unsure OR status IN ('finished', 'abandoned')) AND own_minute >= {start:Int64} AND own_minute < {end:Int64}
            AS is_placed,
        status = 'finished' AND verdict IN ('success', 'failure') AS is_known,
        -- The cost is known when the agent gave its account, or each of its uses of models has a cost; and when all
        -- human time has a price. Without a model call somebody has to tell of models, but for the process without the
        -- agent: it has none, so any cost will do.
        status = 'finished'
            AND NOT mapContains(costs, 'unpriced')
            AND (
                root_cost IS NOT NULL
                OR (
                    unpriced = 0
                    AND (model_calls > 0 OR mapContains(costs, 'model') OR (stage = 'control' AND notEmpty(costs)))
                )
            )
            AS is_priced,
        ifNull(root_cost, step_cost) + costs['model'] AS model_cost,
        arraySum(mapValues(costs)) AS all_costs
    FROM compared_tasks
),
placed AS (
    SELECT
        * EXCEPT (case_type, claim),
        toUInt32(if(is_placed, own_minute, 4294967295)) AS minute,
        if(case_type = '', 'unclassified', case_type) AS case_type,
        if(is_finished, claim, '') AS claim,
        is_known AND verdict = 'success' AS is_right,
        is_known AND claim = 'success' AS is_known_success,
        toUInt128(weight) * weight AS weight_squared,
        arrayExists(kind -> interventions[kind] > 0, ['corrected', 'rejected', 'taken_over', 'interrupted'])
            AS is_overridden,
        model_cost + all_costs - costs['model'] AS cost,
        step_cost + all_costs AS partial_cost
    FROM closed
),

-- Counts of abandoned tasks are of their work alone. What an unsure task may be in is skipped.
summed AS (
    SELECT
        partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
        max(is_unsure) AS is_unsure,
        countIf(NOT is_moving) AS told_tasks,
        countIf(is_moving) AS moving_tasks,
        sum(differing) AS task_differences,
        groupArraySortedIf({detail:UInt32})((partition, [task_id], was, is), differing > 0) AS differing_tasks,

        countIf(is_finished) AS tasks_finished,
        countIf(NOT is_finished) AS tasks_abandoned,
        countIf(claim = 'success') AS claimed_success,
        countIf(claim = 'failure') AS claimed_failure,
        countIf(claim = 'escalated') AS claimed_escalated,
        countIf(claim = 'gave_up') AS claimed_gave_up,
        countIf(is_known) AS verdict_known,
        countIf(is_right) AS verdict_success,
        countIf(is_known_success) AS claimed_success_known,
        countIf(is_known_success AND NOT is_right) AS discrepancies,
        countIf(is_right AND NOT is_known_success) AS underclaims,

        countIf(is_finished AND is_overridden) AS overridden,
        countIf(is_finished AND interventions['escalated'] > 0) AS escalated,
        countIf(is_finished AND interventions['approved'] > 0) AS approved,
        countIf(is_finished AND answered) AS answered,
        countIf(is_finished AND complaint) AS complaints,
        countIf(is_finished AND satisfaction IS NOT NULL) AS satisfaction_known,
        sumIf(ifNull(satisfaction, 0), is_finished) AS satisfaction_micro,
        sumIf(human_us, is_finished) AS human_us,

        countIf(is_priced) AS cost_known,
        sumIf(cost, is_priced) AS cost_nano,
        sumIf(model_cost, is_priced) AS cost_model_nano,
        sumIf(costs['tool'], is_priced) AS cost_tool_nano,
        sumIf(costs['human'], is_priced) AS cost_human_nano,
        sumIf(costs['engineering'], is_priced) AS cost_engineering_nano,
        sumIf(costs['operations'], is_priced) AS cost_operations_nano,
        sumIf(partial_cost, is_finished AND NOT is_priced) AS cost_partial_nano,
        sumIf(cost, is_priced AND is_known) AS cost_of_verified_nano,
        countIf(is_priced AND is_right) AS verdict_success_cost_known,

        sumIf(weight, is_known) AS weight_known,
        sumIf(weight, is_right) AS weight_success,
        sumIf(weight, is_known_success) AS weight_claimed_success_known,
        sumIf(weight, is_known_success AND NOT is_right) AS weight_discrepancies,
        sumIf(weight, is_right AND NOT is_known_success) AS weight_underclaims,
        sumIf(weight_squared, is_known) AS weight_squared_known,
        sumIf(weight_squared, is_known_success) AS weight_squared_claimed_success_known,

        sum(actions) AS actions,
        sum(action_errors) AS action_errors,
        sum(model_calls) AS model_calls,
        sum(tool_calls) AS tool_calls,
        sum(tool_errors) AS tool_errors,
        sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens,
        sum(cache_read_tokens) AS cache_read_tokens,
        sum(cache_write_tokens) AS cache_write_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,

        mapSort(sumMapIf(
            map(toUInt16(bucket(toUInt64(greatest(claim_at - start_at, 0)))), 1), is_finished AND start_at != 0
        )) AS cycle_us,
        mapSort(sumMap(latency_us)) AS latency_us,
        mapSort(sumMapIf(scores, is_finished)) AS score_sums,
        sumMapIf(mapApply((evaluator, score) -> (evaluator, 1), scores), is_finished) AS scored,
        mapApply((evaluator, score) -> (evaluator, (scored[evaluator], score)), score_sums) AS scores
    FROM placed
    GROUP BY partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model
),

stored_windows AS (
    SELECT
        partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
        seq >= end_of(partition) AS is_moving,
        array(
            * EXCEPT (
                partition, epoch, minute, tenant, workflow, stage, environment, agent, agent_version, case_type,
                model, seq
            )
            REPLACE (mapSort(cycle_us) AS cycle_us, mapSort(latency_us) AS latency_us, mapSort(scores) AS scores)
            APPLY (toString)
        ) AS columns
    FROM window_rows FINAL
    WHERE epoch = {epoch:UInt16} AND partition IN {partitions:Array(UInt16)}
        AND minute >= {start:Int64} AND minute < {end:Int64}
),
recomputed_windows AS (
    SELECT
        partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
        is_unsure, told_tasks, moving_tasks, task_differences, differing_tasks,
        array(
            * EXCEPT (
                partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
                is_unsure, told_tasks, moving_tasks, task_differences, differing_tasks, score_sums, scored
            )
            APPLY (toString)
        ) AS columns
    FROM summed
),

compared_windows AS (
    SELECT
        told_tasks, moving_tasks, task_differences, differing_tasks,
        partition,
        [
            formatDateTime(toDateTime(minute, 'UTC'), '%FT%TZ'),
            tenant, workflow, stage, environment, agent, agent_version, case_type, model
        ] AS key,
        minute != 4294967295 AS is_window,
        is_moving OR is_unsure AS is_skipped,
        if(empty(stored.columns), {no_window:Array(String)}, stored.columns) AS was,
        if(empty(recomputed.columns), {no_window:Array(String)}, recomputed.columns) AS is,
        if(is_window AND NOT is_skipped, arrayCount((a, b) -> a != b, was, is), 0) AS differing
    FROM stored_windows AS stored
    FULL JOIN recomputed_windows AS recomputed
        USING (partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model)
)

SELECT
    sum(told_tasks),
    sum(moving_tasks),
    sum(task_differences),
    groupArraySortedArray({detail:UInt32})(differing_tasks),
    countIf(
        is_window AND NOT is_skipped
        AND (was != {no_window:Array(String)} OR is != {no_window:Array(String)})
    ),
    countIf(is_window AND is_skipped),
    sum(differing),
    groupArraySortedIf({detail:UInt32})((partition, key, was, is), differing > 0)
FROM compared_windows
-- The last of these settings saves half of the time that ClickHouse needs to understand this query.
SETTINGS join_use_nulls = 0, prefer_column_name_to_alias = 1, optimize_and_compare_chain = 0
