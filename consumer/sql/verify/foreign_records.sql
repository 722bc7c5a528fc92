select
    region || '/' || domain || '/' || socrata_datasets.id as what,
    case
        when resource.id is distinct from socrata_datasets.id then 'its record has another id'
        when record #>> '{metadata,domain}' is distinct from domain then 'its record has another domain'
        else 'its record contains page views or downloads, which change on each crawl'
    end as finding
from socrata_datasets
cross join lateral jsonb_to_record(
    case jsonb_typeof(record -> 'resource') when 'object' then record -> 'resource' end
) as resource (id text, page_views jsonb, download_count jsonb)
where resource.id is distinct from socrata_datasets.id or resource.page_views is not null
    or resource.download_count is not null or record #>> '{metadata,domain}' is distinct from domain
