-- Changes nothing. A transaction must write something so that its commit waits for the disk.
update positions
set moved_at = moved_at
where topic = $1 and partition = $2
