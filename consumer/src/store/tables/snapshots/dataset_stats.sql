-- Copies only what decides the effect. The lateral join with a limit makes one index lookup per key.
insert into socrata_dataset_stats (region, domain, id, last_run, last_page, observed_at, content_hash)
select
    found.region, found.domain, found.id, found.last_run, found.last_page, found.observed_at,
    found.content_hash
from unnest($1::text[], $2::text[], $3::text[]) as given (region, domain, id)
cross join lateral (
    select region, domain, id, last_run, last_page, observed_at, content_hash
    from stored_dataset_stats as stored
    where stored.region = given.region and stored.domain = given.domain and stored.id = given.id
    limit 1
) as found
on conflict do nothing;
