-- The floor of each region ($1): rows of these topics ($3) that were last seen before run $2 stay unchanged, because the
-- topics have lost their records. All rows if the run is null.
create temporary table floors on commit drop as
select given.region, coalesce(given.run, 9223372036854775807) as run, lost.topic
from unnest($1::text[], $2::bigint[]) as given (region, run)
cross join unnest($3::text[]) as lost (topic)
