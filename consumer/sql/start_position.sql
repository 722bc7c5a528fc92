-- A partition that was never applied starts at its first record, whatever the group had committed.
with started as (
    insert into positions (topic, partition, position, counted_to, updated_at)
    values ($1, $2, $3, $3, now())
    on conflict (topic, partition) do nothing
    returning position
)
select position from started
union all
select position from positions where topic = $1 and partition = $2
