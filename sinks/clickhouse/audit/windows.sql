-- Windows as the fold wrote them against what the tasks, recomputed from raw events, add up to.
-- The tail of recomputed.sql. A window that counts nothing equals one that is not there.
-- The answer is one row.
--
-- empty: the columns of a window that counts nothing. detail: how many differing windows are told in full.
stored AS (
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

-- Finished tasks belong to the minute of their claim, abandoned ones to that of their last work.
closed AS (
    SELECT
        *,
        status = 'finished' AS is_finished,
        toUInt32(intDiv(if(status = 'finished', claim_at, last_at), 60000000) * 60) AS minute,
        status = 'finished' AND verdict IN ('success', 'failure') AS is_known,
        -- The cost is known when the agent gave its account, or each of its model calls has a cost.
        status = 'finished'
            AND (root_cost IS NOT NULL OR (unpriced = 0 AND (model_calls > 0 OR mapContains(costs, 'model'))))
            AS is_priced,
        ifNull(root_cost, step_cost) + costs['model'] AS model_cost,
        arraySum(mapValues(costs)) AS all_costs
    FROM tasks
    WHERE status IN ('finished', 'abandoned') OR is_unsure
),
placed AS (
    SELECT
        * EXCEPT (case_type, claim),
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
    WHERE minute >= {start:Int64} AND minute < {end:Int64}
),

-- Counts of abandoned tasks are of their work alone. What an unsure task may be in is skipped.
summed AS (
    SELECT
        partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
        max(is_unsure) AS is_unsure,

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

recomputed AS (
    SELECT
        partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
        is_unsure,
        array(
            * EXCEPT (
                partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model,
                is_unsure, score_sums, scored
            )
            APPLY (toString)
        ) AS columns
    FROM summed
),

compared AS (
    SELECT
        partition,
        [formatDateTime(toDateTime(minute, 'UTC'), '%FT%TZ'), tenant, workflow, stage, environment, agent, agent_version, case_type, model] AS key,
        stored.is_moving OR recomputed.is_unsure AS is_skipped,
        if(empty(stored.columns), {empty:Array(String)}, stored.columns) AS was,
        if(empty(recomputed.columns), {empty:Array(String)}, recomputed.columns) AS is,
        if(is_skipped, 0, arrayCount((a, b) -> a != b, was, is)) AS differing
    FROM stored FULL JOIN recomputed
        USING (partition, minute, tenant, workflow, stage, environment, agent, agent_version, case_type, model)
)

SELECT
    countIf(NOT is_skipped AND (was != {empty:Array(String)} OR is != {empty:Array(String)})),
    countIf(is_skipped),
    sum(differing),
    groupArraySortedIf({detail:UInt32})((partition, key, was, is), differing > 0)
FROM compared
SETTINGS join_use_nulls = 0, prefer_column_name_to_alias = 1, optimize_and_compare_chain = 0
