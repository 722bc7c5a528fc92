-- The last crawl of datasets that has ended in each region that has runs, and how many seconds ago it ended: full, incremental or of
-- whole domains; accepted, declined or on hold. Crawls with --limit or --cursor see only a part of the datasets, so they don't
-- count.
select regions.region, ended.run, ended.mode, extract(epoch from now() - ended.ended_at)::float8 as age
from (select distinct region from runs) as regions
left join lateral (
    select runs.run, runs.mode, runs.ended_at
    from runs
    where runs.region = regions.region and 'datasets' = any(runs.kinds)
        and runs.state not in ('open', 'abandoned')
        and (runs.mode in ('full', 'since') or runs.scope is not null)
    order by runs.run desc
    limit 1
) as ended on true
where $1::text is null or regions.region = $1
order by regions.region
