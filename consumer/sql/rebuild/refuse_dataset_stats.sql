-- The database refused to write or to delete this row: it stays as it is.
update differing_dataset_stats
set kind = 'refused'
where place = $1
returning array[region, domain, id] as key
