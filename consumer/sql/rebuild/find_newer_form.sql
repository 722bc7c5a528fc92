-- Finds a row whose form has a newer revision than this program's ($1). The program must not overwrite it. Every such row is
-- a candidate, because the shadow has no form of that revision.
select region || '/' || domain || '/' || id, get_byte(content_hash, 0)
from candidates_dataset_stats
join socrata_dataset_stats using (region, domain, id)
where get_byte(content_hash, 0) > $1
limit 1
