insert into run_partitions as stored (
    region, run, topic, partition, new, changed, unchanged, older, dead
)
select region, run, $1, $2, new, changed, unchanged, older, 0
from unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    as given (region, run, new, changed, unchanged, older)
on conflict (region, run, topic, partition) do update
set
    new = stored.new + excluded.new,
    changed = stored.changed + excluded.changed,
    unchanged = stored.unchanged + excluded.unchanged,
    older = stored.older + excluded.older
