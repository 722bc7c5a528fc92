-- By the ledger of the live tables; the shadow's ledger may be incomplete.
with due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from (select distinct region, domain, last_run from shadow_dataset_stats) as seen
)
update shadow_datasets as made
set retired_at = due.retired_at
from shadow_dataset_stats as seen
join due using (region, domain, last_run)
where made.region = seen.region and made.domain = seen.domain and made.id = seen.id
    and made.retired_at is distinct from due.retired_at
