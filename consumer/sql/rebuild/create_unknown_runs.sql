-- Runs of the topics' rows that the ledger lacks. An operator's reset has skipped their records.
create temporary table unknown_runs as
select region, run
from (
    select region, last_run as run from shadow_dataset_stats
    union
    select region, last_run from shadow_domains
    union
    select region, last_run from shadow_hosts
    union
    select region, last_run from shadow_agencies
) as seen
where not exists (select from runs where runs.region = seen.region and runs.run = seen.run)
