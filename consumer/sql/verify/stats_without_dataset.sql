select
    region || '/' || domain || '/' || id as what,
    'socrata_datasets has no row for it' as finding
from socrata_dataset_stats
where not exists (
    select from socrata_datasets as stored
    where stored.region = socrata_dataset_stats.region and stored.domain = socrata_dataset_stats.domain
        and stored.id = socrata_dataset_stats.id
)
