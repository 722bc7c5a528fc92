-- A partition without a position starts at its first record, regardless of committed offsets.
insert into positions (topic, partition, position, counted_to, moved_at)
values ($1, $2, $3, $3, now())
on conflict (topic, partition) do nothing
