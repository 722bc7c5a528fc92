-- The database refused to write or delete this row, so it stays unchanged.
update differing_agencies
set kind = 'refused'
where place = $1
returning array[region, host, agency] as key
