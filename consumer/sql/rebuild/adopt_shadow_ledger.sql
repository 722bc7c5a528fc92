-- A new database adopts the shadow's ledger.
with taken_runs as (
    insert into runs (
        region, run, mode, kinds, scope, state, reason, started_at, ended_at, published, applied, dead, retired, marker
    )
    select
        region, run, mode, kinds, scope, state, reason, started_at, ended_at, published, applied, dead, retired, marker
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
    insert into verdicts (region, run, verdict, published)
    select region, run, verdict, published
    from shadow_verdicts
    on conflict (region, run) do nothing
),
taken_first_runs as (
    insert into domain_first_runs (region, domain, first_run)
    select region, domain, first_run
    from shadow_domain_first_runs
    on conflict (region, domain) do nothing
),
taken_shields as (
    insert into run_shields (region, run, domain, reason, confirmed_below, lifted)
    select region, run, domain, reason, confirmed_below, lifted
    from shadow_run_shields
    on conflict (region, run, domain) do nothing
),
taken_dead_letters as (
    insert into dead_letters (
        topic, partition, "offset", key, value, headers, region, run, reason, state, counted, ordinal, seen_at, refused
    )
    select
        topic, partition, "offset", key, value, headers, region, run, reason, state, counted, ordinal, seen_at, refused
    from shadow_dead_letters
    order by id
    on conflict (cluster, topic, partition, "offset") do nothing
)
insert into positions (topic, partition, position, counted_to, moved_at, records)
select topic, partition, position, counted_to, now(), records
from shadow_positions
