-- Stores the floors: rows of region $1 that were last seen before run $2 stay as they are in the tables of the topics $3,
-- because these topics lost older records. Where $2 is null, all rows of the region stay.
create temporary table floors on commit drop as
select given.region, coalesce(given.run, 9223372036854775807) as run, lost.topic
from unnest($1::text[], $2::bigint[]) as given (region, run)
cross join unnest($3::text[]) as lost (topic)
