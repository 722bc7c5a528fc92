-- Inserts runs that are missing because an operator reset skipped their records. The repair writes their rows now. More of
-- their records may still arrive and the skipped ones were never counted, so these runs are open and retire nothing.
insert into runs (region, run, state)
select region, last_run, 'open'
from (
    select region, last_run from shadow_dataset_stats
    union
    select region, last_run from shadow_domains
    union
    select region, last_run from shadow_hosts
    union
    select region, last_run from shadow_agencies
) as seen
on conflict (region, run) do nothing
