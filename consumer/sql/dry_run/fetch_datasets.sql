-- Copies only what decides the effect. The object itself is needed only where the row does not have this program's
-- revision ($4), because its hash can't be compared then. The lateral join with a limit makes one index lookup per key.
insert into socrata_datasets (region, domain, id, record, unreadable, content_hash, retired_at)
select
    found.region, found.domain, found.id,
    case when has_this_form then '{}' else found.record end,
    case when has_this_form then '{}' else found.unreadable end,
    found.content_hash, found.retired_at
from unnest($1::text[], $2::text[], $3::text[]) as given (region, domain, id)
cross join lateral (
    select region, domain, id, record, unreadable, content_hash, retired_at
    from stored_datasets as stored
    where stored.region = given.region and stored.domain = given.domain and stored.id = given.id
    limit 1
) as found
left join lateral (
    select get_byte(content_hash, 0) >= $4 as has_this_form
    from stored_dataset_stats as stats
    where stats.region = given.region and stats.domain = given.domain and stats.id = given.id
    limit 1
) as stats on true
on conflict do nothing
