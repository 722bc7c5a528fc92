-- Inserts runs that are missing because an operator reset skipped their records. The repair writes their rows now. More of
-- their records may still arrive and the skipped ones were never counted, so these runs are open and retire nothing.
insert into runs (region, run, state)
select region, run, 'open'
from (
    select region, run from unknown_runs
    union
    select region, last_run from candidates_dataset_stats join shadow_dataset_stats using (region, domain, id)
    union
    select region, last_run from candidates_domains join shadow_domains using (region, domain)
    union
    select region, last_run from candidates_hosts join shadow_hosts using (region, host)
    union
    select region, last_run from candidates_agencies join shadow_agencies using (region, host, agency)
) as seen
on conflict (region, run) do nothing
