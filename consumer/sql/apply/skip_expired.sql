update positions
set position = greatest(position, $3), counted_to = greatest(counted_to, $3), moved_at = now()
where topic = $1 and partition = $2
returning position
