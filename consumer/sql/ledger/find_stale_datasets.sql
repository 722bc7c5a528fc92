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
    stored.domain, stored.id, stored.name, stored.type as kind, stats.last_run,
    stored.retired_at as was, due.retired_at as due
from socrata_dataset_stats as stats
join due using (domain, last_run)
join socrata_datasets as stored using (region, domain, id)
where stats.region = $1 and stored.retired_at is distinct from due.retired_at
order by stored.domain, stored.name, stored.id
