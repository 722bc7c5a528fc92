-- A partition that was never applied starts at its first record, whatever the group had committed.
insert into positions (topic, partition, position, counted_to, moved_at)
values ($1, $2, $3, $3, now())
on conflict (topic, partition) do nothing
