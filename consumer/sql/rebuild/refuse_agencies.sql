-- The database refused to write or to delete this row: it stays as it is.
update differing_agencies
set kind = 'refused'
where place = $1
returning array[region, host, agency] as key
