-- For each topic ($1) the last known run ($3) of each region ($2).
insert into run_floors (topic, region, run)
select topics.topic, known.region, known.run
from unnest($1::text[]) as topics (topic)
cross join unnest($2::text[], $3::bigint[]) as known (region, run)
