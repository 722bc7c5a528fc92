-- More records arrived than were published, or a run is on hold because fewer did: Kafka committed only a part of a page,
-- or the same page twice. Compaction may explain fewer records in a run that is not on hold (`short_books`). Balanced runs
-- have their own check (`unbalanced_runs`).
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    arrived || ' of ' || published || ' published records have arrived, and the run is ' || state
        || ': a page may be torn' as finding
from (
    select region, run, topic, partition, run_partitions.published, runs.state,
        new + changed + unchanged + older + run_partitions.dead as arrived
    from run_partitions
    join runs using (region, run)
    where runs.state in ('held', 'ended')
) as ledger
where arrived > published or (arrived < published and state = 'held')
