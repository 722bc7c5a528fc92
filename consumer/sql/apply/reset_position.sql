-- An operator has reset the group's offset. counted_to stays, so that no record is counted twice.
update positions
set position = $4, moved_at = now()
where topic = $1 and partition = $2 and position = $3
