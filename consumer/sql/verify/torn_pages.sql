-- More has arrived than was published, or a run is held because less has: Kafka has committed only a part of a page,
-- or the same page twice. Less in a run that is not held may be what compaction has dropped (`short_books`), and a
-- balanced run has a check of its own (`unbalanced_runs`).
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
