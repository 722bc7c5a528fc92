-- A row whose form is of a newer revision than this program's ($1), which it must not overwrite.
select region || '/' || domain || '/' || id, get_byte(content_hash, 0)
from socrata_dataset_stats
where get_byte(content_hash, 0) > $1
limit 1
