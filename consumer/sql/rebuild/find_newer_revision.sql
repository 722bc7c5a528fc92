-- A row with a newer content revision than this program's ($1), which must not overwrite it.
select region || '/' || domain || '/' || id, get_byte(content_hash, 0)
from socrata_dataset_stats
where get_byte(content_hash, 0) > $1
limit 1
