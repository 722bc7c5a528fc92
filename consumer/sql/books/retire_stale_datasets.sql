-- After a run was accepted: what it did not see gets what the function gives for it now. Tells how many
-- were not retired before; others may move to an earlier end. The function is called once for each run.
with due as materialized (
    select last_run, retired_at($1, last_run) as retired_at
    from (
        select distinct last_run
        from socrata_dataset_stats
        where region = $1 and last_run < $2
    ) as runs
),
stale as materialized (
    select held.region, held.domain, held.id, held.retired_at as was, due.retired_at
    from socrata_dataset_stats as stats
    join due using (last_run)
    join socrata_datasets as held using (region, domain, id)
    where stats.region = $1 and stats.last_run < $2 and held.retired_at is distinct from due.retired_at
),
moved as (
    update socrata_datasets as held
    set retired_at = stale.retired_at
    from stale
    where held.region = stale.region and held.domain = stale.domain and held.id = stale.id
    returning stale.was
)
select count(*) filter (where was is null) from moved
