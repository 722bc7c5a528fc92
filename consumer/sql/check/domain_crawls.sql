-- The domains of crawls with --domain, in regions without a full crawl of datasets: the last accepted crawl of each, and how many
-- seconds ago it ended. Domains with the same one are one row.
select
    scoped.region, min(scoped.domain collate "C") as domain, count(*) as domains, accepted.run,
    extract(epoch from now() - accepted.ended_at)::float8 as age
from (
    select distinct runs.region, named.domain
    from runs
    cross join unnest(runs.scope) as named (domain)
    where 'datasets' = any(runs.kinds)
) as scoped
left join lateral (
    select runs.run, runs.ended_at
    from runs
    where runs.region = scoped.region and scoped.domain = any(runs.scope) and 'datasets' = any(runs.kinds)
        and runs.state in ('balanced', 'released')
    order by runs.ended_at desc nulls last
    limit 1
) as accepted on true
where ($1::text is null or scoped.region = $1)
    and not exists (
        select from runs
        where runs.region = scoped.region and runs.mode = 'full' and 'datasets' = any(runs.kinds)
            and runs.state <> 'abandoned'
    )
group by scoped.region, accepted.run, accepted.ended_at
order by scoped.region, accepted.ended_at nulls first
