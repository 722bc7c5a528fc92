-- Updates retired_at to the current result of the function, and counts the retired and the restored datasets.
-- $2: only datasets that were last seen before this run. $3: only these domains (lower case); null for all.
-- The function is called once for each domain and run.
with due as materialized (
    select domain, last_run, retired_at($1, domain, last_run) as retired_at
    from (
        select distinct domain, last_run
        from socrata_dataset_stats
        where region = $1 and last_run < $2 and ($3::text[] is null or lower(domain) = any ($3))
    ) as seen
),
stale as materialized (
    select stored.domain, stored.id, stored.retired_at as was, due.retired_at
    from socrata_dataset_stats as stats
    join due using (domain, last_run)
    join socrata_datasets as stored using (region, domain, id)
    where stats.region = $1 and stored.retired_at is distinct from due.retired_at
),
changed as (
    update socrata_datasets as stored
    set retired_at = stale.retired_at
    from stale
    where stored.region = $1 and stored.domain = stale.domain and stored.id = stale.id
    returning stale.was, stale.retired_at as due
)
select
    count(*) filter (where was is null) as retired,
    count(*) filter (where due is null) as returned
from changed
