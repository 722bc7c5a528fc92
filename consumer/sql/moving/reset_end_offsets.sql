-- Offsets of the old topics ($1; null for all) are meaningless in the new ones.
update run_partitions
set marker_offset = -1
where marker_offset >= 0 and ($1::text is null or topic = $1)
