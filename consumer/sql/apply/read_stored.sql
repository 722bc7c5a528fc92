-- The stored objects of rows with the form of another revision, because their hashes can't be compared.
select given.ordinal, found.record::text as record, found.unreadable
from unnest($1::text[], $2::text[], $3::text[]) with ordinality as given (region, domain, id, ordinal)
cross join lateral (
    select record, unreadable
    from socrata_datasets as stored
    where stored.region = given.region and stored.domain = given.domain and stored.id = given.id
    limit 1
) as found
