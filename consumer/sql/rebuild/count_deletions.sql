-- Counts the rows that a repair deletes, and the rows that there were when all were compared, by table, region and (for
-- assets) domain.
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
counted as (
    select name, region, domain, 0 as deleted, rows
    from row_counts
    union all
    select name, region, domain, rows, 0
    from extra
)
select
    name,
    region,
    domain,
    grouping(domain) = 1 as is_region,
    sum(deleted)::bigint as deleted,
    sum(rows)::bigint as rows
from counted
group by grouping sets ((name, region), (name, region, domain))
having sum(deleted) > 0
order by is_region desc, name collate "C" desc, region collate "C", domain collate "C"
