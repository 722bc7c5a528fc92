-- The database refused to write or delete this row, so it stays unchanged.
update differing_dataset_stats
set kind = 'refused'
where place = $1
returning array[region, domain, id] as key
