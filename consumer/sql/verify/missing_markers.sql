select
    'run ' || run || ' of ' || region as what,
    'it was decided, but only ' || end_records.found || ' of ' || end_records.expected
        || ' end-of-run records have arrived' as finding
from runs
cross join lateral (
    select
        (
            select count(marker_offset) from run_partitions
            where run_partitions.region = runs.region and run_partitions.run = runs.run
        ) as found,
        (select sum(count::bigint) from jsonb_each_text(marker -> 'partitions') as kind (name, count)) as expected
) as end_records
where published is not null and end_records.found < end_records.expected
