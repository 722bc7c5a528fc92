-- What the winners' rows hold now. Lateral with a limit: one look-up by key each, whatever the planner
-- thinks of the batch's size.
select given.place, found.content_hash
from unnest($1::text[], $2::text[], $3::text[]) with ordinality as given (region, domain, id, place)
cross join lateral (
    select content_hash
    from socrata_datasets as held
    where held.region = given.region and held.domain = given.domain and held.id = given.id
    limit 1
) as found
