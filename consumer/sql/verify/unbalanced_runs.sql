-- A balanced run may fall short only where compaction can have dropped what later runs have superseded
-- before it was read here: its verdict is the log's then.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    'it is balanced, and ' || arrived || ' of ' || coalesce(published::text, 'an unknown number of')
        || ' published records have arrived' as finding
from (
    select region, run, topic, partition, run_partitions.published,
        new + changed + unchanged + older + run_partitions.dead as arrived
    from run_partitions
    join runs using (region, run)
    where runs.state = 'balanced'
) as ledger
where published is null or arrived > published or (
    arrived < published and not exists (
        select from run_partitions as later
        where later.region = ledger.region and later.topic = ledger.topic
            and later.partition = ledger.partition and later.run > ledger.run
            and later.new + later.changed + later.unchanged + later.older + later.dead > 0
    )
)
