-- Marks a row that the database refused to write or to delete. It stays as it is.
update differing_domains
set kind = 'refused'
where place = $1
returning array[region, domain] as key
