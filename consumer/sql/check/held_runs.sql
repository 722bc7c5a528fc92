-- Runs on hold, and how many seconds ago each ended.
select
    region, run, coalesce(reason, 'no reason is stored') as reason,
    extract(epoch from now() - ended_at)::float8 as age
from runs
where state = 'held' and ($1::text is null or region = $1)
order by region, run
