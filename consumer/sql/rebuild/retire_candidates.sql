-- Like retire_shadow.sql, but limited to the candidates.
with seen as materialized (
    select region, domain, id, last_run
    from candidates_datasets
    join shadow_dataset_stats using (region, domain, id)
),
due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from (select distinct region, domain, last_run from seen) as runs
)
update shadow_datasets as made
set retired_at = due.retired_at
from seen
join due using (region, domain, last_run)
where made.region = seen.region and made.domain = seen.domain and made.id = seen.id
    and made.retired_at is distinct from due.retired_at
