-- An operator's word. counted_to stays: what was counted is not counted again.
update positions
set position = $4, moved_at = now()
where topic = $1 and partition = $2 and position = $3
