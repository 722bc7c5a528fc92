select
    'run ' || run || ' of ' || region as what,
    markers.found || ' of its markers are in' as finding
from runs
cross join lateral (
    select count(marker_offset) as found
    from run_partitions
    where run_partitions.region = runs.region and run_partitions.run = runs.run
) as markers
where state = 'open'
