-- Marks a row that the database refused to write or to delete. It stays as it is.
update differing_dataset_stats
set kind = 'refused'
where place = $1
returning array[region, domain, id] as key
