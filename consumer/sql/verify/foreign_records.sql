select
    region || '/' || domain || '/' || socrata_datasets.id as what,
    case
        when said.id is distinct from socrata_datasets.id then 'its record has another id'
        when record #>> '{metadata,domain}' is distinct from domain then 'its record has another domain'
        else 'its record holds page views or downloads, which move on each crawl'
    end as finding
from socrata_datasets
cross join lateral jsonb_to_record(
    case jsonb_typeof(record -> 'resource') when 'object' then record -> 'resource' end
) as said (id text, page_views jsonb, download_count jsonb)
where said.id is distinct from socrata_datasets.id or said.page_views is not null
    or said.download_count is not null or record #>> '{metadata,domain}' is distinct from domain
