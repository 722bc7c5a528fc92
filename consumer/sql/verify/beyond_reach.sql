-- No full crawl has listed or seen these domains, so no full crawl can retire an asset there.
select
    region || '/' || domain as what,
    count(*) || ' active assets, but no full crawl lists or sees the domain: only crawls with `--domain` can retire them'
        as finding
from socrata_datasets as stored
where retired_at is null
    and not exists (
        select from domain_first_runs as known
        where known.region = stored.region and known.domain = lower(stored.domain)
    )
    and not exists (
        select from runs
        where runs.region = stored.region and runs.state in ('balanced', 'released')
            and lower(stored.domain) = any (runs.scope)
    )
group by region, domain
