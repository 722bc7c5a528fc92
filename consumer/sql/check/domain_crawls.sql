-- The domains of crawls with --domain, in regions without an accepted full crawl of datasets: the last accepted crawl of each, and
-- how many seconds ago it ended. Domains without active rows don't count, such as one that was misspelled. Domains with the same
-- crawl are one row.
with scoped as materialized (
    select distinct runs.region, named.domain
    from runs
    cross join unnest(runs.scope) as named (domain)
    where ($1::text is null or runs.region = $1) and 'datasets' = any(runs.kinds)
        and not exists (
            select from runs as full_crawls
            where full_crawls.region = runs.region and full_crawls.mode = 'full' and 'datasets' = any(full_crawls.kinds)
                and full_crawls.state in ('balanced', 'released')
        )
)
select
    scoped.region, min(scoped.domain collate "C") as domain, count(*) as domains, accepted.run,
    extract(epoch from now() - accepted.ended_at)::float8 as age
from scoped
left join lateral (
    select runs.run, runs.ended_at
    from runs
    where runs.region = scoped.region and scoped.domain = any(runs.scope) and 'datasets' = any(runs.kinds)
        and runs.state in ('balanced', 'released')
    order by runs.ended_at desc nulls last
    limit 1
) as accepted on true
where exists (
    select from socrata_datasets as assets
    where assets.region = scoped.region and lower(assets.domain collate "C") = scoped.domain
        and assets.retired_at is null
)
group by scoped.region, accepted.run, accepted.ended_at
order by scoped.region, accepted.ended_at nulls first
