-- Only the columns that decide the effect: the version, and the hash that shows whether the row changes.
insert into socrata_dataset_stats (region, domain, id, last_run, last_page, observed_at, content_hash)
select found.region, found.domain, found.id, found.last_run, found.last_page, found.observed_at, found.content_hash
from unnest($1::text[], $2::text[], $3::text[]) as given (region, domain, id)
cross join lateral (
    select region, domain, id, last_run, last_page, observed_at, content_hash
    from live_dataset_stats as live
    where live.region = given.region and live.domain = given.domain and live.id = given.id
    limit 1
) as found
on conflict do nothing
