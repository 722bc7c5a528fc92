-- Offsets of the topics ($1; null for all) that the tables leave say nothing about the new ones.
update run_partitions
set marker_offset = -1
where marker_offset >= 0 and ($1::text is null or topic = $1)
