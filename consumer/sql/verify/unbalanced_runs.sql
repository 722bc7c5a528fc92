-- A balanced run may fall short only as far as it did when it was decided: then the log's verdict was followed.
-- What compaction has dropped never arrives, be it superseded by a later run or by a resume of the same.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    'it is balanced, and ' || arrived || ' of ' || coalesce(published::text, 'an unknown number of')
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
