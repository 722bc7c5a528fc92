select
    region || '/' || domain || '/' || id as what,
    'there is no row in socrata_datasets' as finding
from socrata_dataset_stats
where not exists (
    select from socrata_datasets as held
    where held.region = socrata_dataset_stats.region and held.domain = socrata_dataset_stats.domain
        and held.id = socrata_dataset_stats.id
)
