-- The last accepted full crawl of datasets in each region that has runs, and how many seconds ago it ended.
select regions.region, accepted.run, extract(epoch from now() - accepted.ended_at)::float8 as age
from (select distinct region from runs) as regions
left join lateral (
    select runs.run, runs.ended_at
    from runs
    where runs.region = regions.region and runs.mode = 'full' and 'datasets' = any(runs.kinds)
        and runs.state in ('balanced', 'released')
    order by runs.ended_at desc nulls last
    limit 1
) as accepted on true
where $1::text is null or regions.region = $1
order by regions.region
