-- A run that is counted here after a later one has ended here.
select given.run
from unnest($3::text[], $4::bigint[]) as given (region, run)
where exists (
    select from run_partitions as held
    where held.topic = $1 and held.partition = $2 and held.region = given.region
        and held.run > given.run and held.marker_offset is not null
)
limit 1
