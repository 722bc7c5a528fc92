-- The datasets that were retired last. A name may be as long as its publisher likes.
select region, domain, id, left(name, 200) as name, type as kind, retired_at
from socrata_datasets
where retired_at is not null
order by retired_at desc, region, domain, id
limit $1
