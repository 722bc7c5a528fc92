-- A new database goes on with the shadow's books.
with taken_runs as (
    insert into runs (
        region, run, mode, kinds, state, reason, started_at, ended_at, published, applied, dead, retired, marker
    )
    select
        region, run, mode, kinds, state, reason, started_at, ended_at, published, applied, dead, retired, marker
    from shadow_runs
    on conflict (region, run) do nothing
),
taken_run_partitions as (
    insert into run_partitions (
        region, run, topic, partition, published, new, changed, unchanged, older, dead, marker_offset
    )
    select region, run, topic, partition, published, new, changed, unchanged, older, dead, marker_offset
    from shadow_run_partitions
    on conflict (region, run, topic, partition) do nothing
),
taken_verdicts as (
    insert into verdicts (region, run, state, reason, ended_at, decided_at, published)
    select region, run, state, reason, ended_at, decided_at, published
    from shadow_verdicts
    on conflict (region, run) do nothing
),
taken_dead_letters as (
    insert into dead_letters (
        topic, partition, "offset", key, value, headers, region, run, reason, state, counted, ordinal, seen_at
    )
    select
        topic, partition, "offset", key, value, headers, region, run, reason, state, counted, ordinal, seen_at
    from shadow_dead_letters
    order by id
    on conflict (topic, partition, "offset") do nothing
)
insert into positions (topic, partition, position, counted_to, moved_at, records)
select topic, partition, position, counted_to, now(), records
from shadow_positions
