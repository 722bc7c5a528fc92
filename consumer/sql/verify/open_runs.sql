select
    'run ' || run || ' of ' || region as what,
    end_records.found || ' of its end-of-run records have arrived' as finding
from runs
cross join lateral (
    select count(marker_offset) as found
    from run_partitions
    where run_partitions.region = runs.region and run_partitions.run = runs.run
) as end_records
where state = 'open'
