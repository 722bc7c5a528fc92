-- By the books of the tables that are compared; the shadow's own may know less.
with ends as materialized (
    select region, last_run, retired_at(region, last_run) as retired_at
    from (select distinct region, last_run from shadow_dataset_stats) as seen
)
update shadow_datasets as made
set retired_at = ends.retired_at
from shadow_dataset_stats as seen
join ends on ends.region = seen.region and ends.last_run = seen.last_run
where made.region = seen.region and made.domain = seen.domain and made.id = seen.id
    and made.retired_at is distinct from ends.retired_at
