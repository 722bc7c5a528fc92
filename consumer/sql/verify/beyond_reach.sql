-- No full crawl has listed or seen these domains, so no full crawl can retire an asset there.
select
    region || '/' || domain as what,
    count(*) || ' active assets, but no full crawl lists or sees the domain: only crawls with `--domain` can retire them'
        as finding
from socrata_datasets as held
where retired_at is null
    and not exists (
        select from domain_first_runs as known
        where known.region = held.region and known.domain = lower(held.domain)
    )
    and not exists (
        select from runs
        where runs.region = held.region and runs.state in ('balanced', 'released')
            and lower(held.domain) = any (runs.scope)
    )
group by region, domain
