-- The retired datasets of the shadow, by region/domain/id. Domains and ids contain no slash.
select concat_ws('/', region, domain, id), retired_at
from shadow_datasets
where retired_at is not null
