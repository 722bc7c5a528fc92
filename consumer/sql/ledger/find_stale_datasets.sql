-- The datasets that `retire_stale_datasets.sql` would update.
with due as materialized (
    select domain, last_run, retired_at($1, domain, last_run) as retired_at
    from (
        select distinct domain, last_run
        from socrata_dataset_stats
        where region = $1 and last_run < $2
    ) as seen
)
select
    held.domain, held.id, held.name, held.type as kind, stats.last_run,
    held.retired_at as was, due.retired_at as due
from socrata_dataset_stats as stats
join due using (domain, last_run)
join socrata_datasets as held using (region, domain, id)
where stats.region = $1 and held.retired_at is distinct from due.retired_at
order by held.domain, held.name, held.id
