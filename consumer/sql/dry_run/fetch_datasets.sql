-- Only what decides: the hash tells whether a row changes. Lateral with a limit: one look-up by key each.
insert into socrata_datasets (region, domain, id, record, unreadable, content_hash, retired_at)
select found.region, found.domain, found.id, '{}', '{}', found.content_hash, found.retired_at
from unnest($1::text[], $2::text[], $3::text[]) as given (region, domain, id)
cross join lateral (
    select region, domain, id, content_hash, retired_at
    from held_datasets as held
    where held.region = given.region and held.domain = given.domain and held.id = given.id
    limit 1
) as found
on conflict do nothing
