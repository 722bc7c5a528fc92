-- Finds a row whose form has a newer revision than this program's ($1). The program must not overwrite it.
select region || '/' || domain || '/' || id, get_byte(content_hash, 0)
from socrata_dataset_stats
where get_byte(content_hash, 0) > $1
limit 1
