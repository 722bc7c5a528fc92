-- All that is read is in the live books already: the shadow follows them and counts nothing.
with uncounted as (
    update shadow_positions
    set counted_to = 9223372036854775807
)
insert into shadow_runs (
    region, run, mode, kinds, state, reason, started_at, ended_at, published, applied, dead, retired, marker
)
select region, run, mode, kinds, state, reason, started_at, ended_at, published, applied, dead, retired, marker
from runs
where state <> 'open'
