select
    region || '/' || domain || '/' || id as what,
    'content_hash is ' || encode(stats.content_hash, 'hex') || ' in socrata_dataset_stats and '
        || encode(stored.content_hash, 'hex') || ' in socrata_datasets' as finding
from socrata_datasets as stored
join socrata_dataset_stats as stats using (region, domain, id)
where stats.content_hash <> stored.content_hash
