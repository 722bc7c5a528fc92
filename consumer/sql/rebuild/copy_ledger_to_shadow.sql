-- The live ledger has already counted all records, so the shadow copies it and counts nothing. Known dead letters are
-- copied too, so that only new ones count towards the thresholds.
with uncounted as (
    update shadow_positions
    set counted_to = 9223372036854775807
),
known as (
    insert into shadow_dead_letters (
        topic, partition, "offset", key, headers, region, run, reason, state, counted, ordinal
    )
    select topic, partition, "offset", key, headers, region, run, reason, 'discarded', false, ordinal
    from dead_letters
    where cluster = ''
),
first_runs as (
    insert into shadow_domain_first_runs (region, domain, first_run)
    select region, domain, first_run
    from domain_first_runs
),
shields as (
    insert into shadow_run_shields (region, run, domain, reason, confirmed_below, lifted)
    select region, run, domain, reason, confirmed_below, lifted
    from run_shields
)
insert into shadow_runs (
    region, run, mode, kinds, scope, state, reason, started_at, ended_at, published, applied, dead, retired, marker
)
select region, run, mode, kinds, scope, state, reason, started_at, ended_at, published, applied, dead, retired, marker
from runs
where state <> 'open'
