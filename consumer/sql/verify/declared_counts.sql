-- The counts of the last full crawl of each region.
select
    region || '/' || domain as what,
    'run ' || run || ' saw ' || seen || ' assets, but the API declared ' || declared as finding
from (
    select distinct on (region) region, run, marker
    from runs
    where mode = 'full' and 'datasets' = any (kinds) and marker is not null
    order by region, run desc
) as last_run
cross join lateral (
    select domain, coalesce(declared.count, '0')::bigint as declared, coalesce(seen.count, '0')::bigint as seen
    from jsonb_each_text(marker -> 'declared') as declared (domain, count)
    full join jsonb_each_text(marker -> 'seen') as seen (domain, count) using (domain)
) as counts
where declared <> seen
