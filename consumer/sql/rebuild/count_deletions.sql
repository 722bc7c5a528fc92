-- The rows that a repair deletes, and all rows, by table and region and, for assets, by domain.
with extra as (
    select 'socrata_datasets' as name, region, domain, count(*) as rows
    from differing_datasets
    where kind = 'extra'
    group by region, domain
    union all
    select 'socrata_dataset_stats', region, domain, count(*)
    from differing_dataset_stats
    where kind = 'extra'
    group by region, domain
    union all
    select 'socrata_domains', region, null, count(*)
    from differing_domains
    where kind = 'extra'
    group by region
    union all
    select 'socrata_hosts', region, null, count(*)
    from differing_hosts
    where kind = 'extra'
    group by region
    union all
    select 'socrata_agencies', region, null, count(*)
    from differing_agencies
    where kind = 'extra'
    group by region
),
held as (
    select 'socrata_datasets' as name, region, domain, count(*) as rows
    from socrata_datasets
    group by region, domain
    union all
    select 'socrata_dataset_stats', region, domain, count(*)
    from socrata_dataset_stats
    group by region, domain
    union all
    select 'socrata_domains', region, null, count(*)
    from socrata_domains
    group by region
    union all
    select 'socrata_hosts', region, null, count(*)
    from socrata_hosts
    group by region
    union all
    select 'socrata_agencies', region, null, count(*)
    from socrata_agencies
    group by region
)
select
    held.name,
    held.region,
    held.domain,
    grouping(held.domain) = 1 as is_region,
    coalesce(sum(extra.rows), 0)::bigint as deleted,
    sum(held.rows)::bigint as rows
from held
left join extra
    on extra.name = held.name and extra.region = held.region and extra.domain is not distinct from held.domain
group by grouping sets ((held.name, held.region), (held.name, held.region, held.domain))
having sum(extra.rows) > 0
order by is_region desc, held.name collate "C" desc, held.region collate "C", held.domain collate "C"
