update positions
set
    position = $3,
    counted_to = greatest(counted_to, $3),
    records = records + $4,
    moved_at = now()
where topic = $1 and partition = $2
