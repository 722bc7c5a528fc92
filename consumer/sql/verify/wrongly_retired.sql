-- The function is called once for each domain and run.
with due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from (select distinct region, domain, last_run from socrata_dataset_stats) as seen
)
select
    region || '/' || domain || '/' || id as what,
    'retired_at is ' || coalesce(stored.retired_at::text, 'null') || ', but by the decisions about the runs after '
        || last_run || ' it should be ' || coalesce(due.retired_at::text, 'null') as finding
from socrata_datasets as stored
join socrata_dataset_stats using (region, domain, id)
join due using (region, domain, last_run)
where stored.retired_at is distinct from due.retired_at
