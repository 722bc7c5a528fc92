-- Forgets the offsets in the topics ($1; null for all) that the tables leave. They mean nothing in the new topics.
update run_partitions
set marker_offset = -1
where marker_offset >= 0 and ($1::text is null or topic = $1)
