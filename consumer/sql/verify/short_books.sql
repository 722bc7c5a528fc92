-- Shortfalls that `unbalanced_runs` and `torn_pages` accept.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    arrived || ' of ' || published || ' published records have arrived, and the run is ' || state as finding
from (
    select region, run, topic, partition, run_partitions.published, runs.state,
        new + changed + unchanged + older + run_partitions.dead as arrived,
        runs.applied + runs.dead < runs.published as was_short
    from run_partitions
    join runs using (region, run)
    where runs.state in ('balanced', 'ended')
) as ledger
where arrived < published and (state = 'ended' or was_short)
