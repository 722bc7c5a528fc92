-- Marks a row that the database refused to write or to delete. It stays as it is.
update differing_{name}
set kind = 'refused'
where place = $1
returning array[{key}] as key
