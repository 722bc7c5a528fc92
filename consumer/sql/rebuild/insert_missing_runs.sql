-- Runs that an operator's reset skipped, and whose rows are repaired now. More of their records may follow, and the
-- skipped ones were not counted. So the runs are open and retire nothing.
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
