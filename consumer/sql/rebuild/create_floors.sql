-- Below which run ($2) of each region ($1) rows of the tables of some topics ($3) stay as they are, because these topics
-- lost what they said before; below every run where it is null.
create temporary table floors on commit drop as
select given.region, coalesce(given.run, 9223372036854775807) as run, lost.topic
from unnest($1::text[], $2::bigint[]) as given (region, run)
cross join unnest($3::text[]) as lost (topic)
