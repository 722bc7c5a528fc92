-- Runs that an operator's reset has left out, and whose rows are mended now. More of them may still come, and
-- what was left out was counted nowhere: so they are open, and retire nothing.
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
