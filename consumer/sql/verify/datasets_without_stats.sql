select
    region || '/' || domain || '/' || id as what,
    'socrata_dataset_stats has no row for it' as finding
from socrata_datasets
where not exists (
    select from socrata_dataset_stats as stats
    where stats.region = socrata_datasets.region and stats.domain = socrata_datasets.domain
        and stats.id = socrata_datasets.id
)
