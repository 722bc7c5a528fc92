-- Stores, for each topic ($1) and region ($2), the last run that the tables know ($3).
insert into run_floors (topic, region, run)
select topics.topic, known.region, known.run
from unnest($1::text[]) as topics (topic)
cross join unnest($2::text[], $3::bigint[]) as known (region, run)
