-- A replayed record is already stored and is not counted again. A record after the end of its run does not count for that
-- run, whatever its headers contain.
with entered as (
    insert into dead_letters (
        topic, partition, "offset", key, value, headers, region, run, reason, counted, ordinal, refused
    )
    select
        $1, $2, given."offset", given.key, given.value, given.headers, given.region, given.run, given.reason,
        given.counts and not exists (
            select from run_partitions as stored
            where stored.topic = $1 and stored.partition = $2 and stored.region = given.region
                and stored.run >= given.run and stored.marker_offset is not null
        ),
        given.ordinal, given.refused
    from unnest(
        $3::bigint[], $4::bytea[], $5::bytea[], $6::jsonb[], $7::text[], $8::bigint[], $9::text[],
        $10::boolean[], $11::bigint[], $12::boolean[]
    ) as given ("offset", key, value, headers, region, run, reason, counts, ordinal, refused)
    order by given."offset"
    on conflict (cluster, topic, partition, "offset") do nothing
    returning region, run, counted
)
insert into run_partitions as stored (
    region, run, topic, partition, new, changed, unchanged, older, dead
)
select region, run, $1, $2, 0, 0, 0, 0, count(*)
from entered
where counted
group by region, run
on conflict (region, run, topic, partition) do update
set dead = stored.dead + excluded.dead
