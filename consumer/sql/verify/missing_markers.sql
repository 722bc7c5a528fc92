select
    'run ' || run || ' of ' || region as what,
    'it was decided, and only ' || markers.found || ' of ' || markers.expected || ' markers are in' as finding
from runs
cross join lateral (
    select
        (
            select count(marker_offset) from run_partitions
            where run_partitions.region = runs.region and run_partitions.run = runs.run
        ) as found,
        (select sum(count::bigint) from jsonb_each_text(marker -> 'partitions') as kind (name, count)) as expected
) as markers
where published is not null and markers.found < markers.expected
