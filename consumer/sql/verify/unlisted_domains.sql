select
    region || '/' || domain as what,
    count(*) || ' active assets, but the API has never listed the domain' as finding
from socrata_datasets
where retired_at is null and not exists (
    select from socrata_domains as stored
    where stored.region = socrata_datasets.region and stored.domain = socrata_datasets.domain
)
group by region, domain
