-- Only the columns that decide the effect. The object is fetched if the row was written by another content revision than
-- this program's ($4), because its hash can't be compared then. `lateral` with `limit`: one index lookup per key.
insert into socrata_datasets (region, domain, id, record, unreadable, content_hash, retired_at)
select
    found.region, found.domain, found.id,
    case when has_this_form then '{}' else found.record end,
    case when has_this_form then '{}' else found.unreadable end,
    found.content_hash, found.retired_at
from unnest($1::text[], $2::text[], $3::text[]) as given (region, domain, id)
cross join lateral (
    select region, domain, id, record, unreadable, content_hash, retired_at
    from live_datasets as live
    where live.region = given.region and live.domain = given.domain and live.id = given.id
    limit 1
) as found
left join lateral (
    select get_byte(content_hash, 0) >= $4 as has_this_form
    from live_dataset_stats as stats
    where stats.region = given.region and stats.domain = given.domain and stats.id = given.id
    limit 1
) as stats on true
on conflict do nothing
