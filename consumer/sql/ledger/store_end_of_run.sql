-- A run ends once per partition: a second end-of-run record belongs to another run with the same number.
insert into run_partitions as stored (
    region, run, topic, partition, published, new, changed, unchanged, older, dead, marker_offset
)
values ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, $6)
on conflict (region, run, topic, partition) do update
set published = excluded.published, marker_offset = excluded.marker_offset
where stored.marker_offset is null
