update socrata_datasets as stored
set retired_at = given.retired_at
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as given (region, domain, id, retired_at)
where stored.region = given.region and stored.domain = given.domain and stored.id = given.id
