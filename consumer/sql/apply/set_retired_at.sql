update socrata_datasets as held
set retired_at = given.retired_at
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as given (region, domain, id, retired_at)
where held.region = given.region and held.domain = given.domain and held.id = given.id
