-- A balanced run may lack only as many records as it lacked when it was decided, which means that it followed a published
-- decision. Records that compaction removed never arrive, whether a later run or a resume of the same run superseded them.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    'it is balanced, but ' || arrived || ' of ' || coalesce(published::text, 'an unknown number of')
        || ' published records have arrived' as finding
from (
    select region, run, topic, partition, run_partitions.published,
        new + changed + unchanged + older + run_partitions.dead as arrived,
        runs.applied + runs.dead < runs.published as was_short
    from run_partitions
    join runs using (region, run)
    where runs.state = 'balanced'
) as ledger
where published is null or arrived > published or (arrived < published and was_short is distinct from true)
