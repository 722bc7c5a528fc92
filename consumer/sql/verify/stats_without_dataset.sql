select
    region || '/' || domain || '/' || id as what,
    'socrata_datasets has no row for it' as finding
from socrata_dataset_stats
where not exists (
    select from socrata_datasets as held
    where held.region = socrata_dataset_stats.region and held.domain = socrata_dataset_stats.domain
        and held.id = socrata_dataset_stats.id
)
