select
    field as what,
    count(*) || ' assets, such as ' || min(region || '/' || domain || '/' || id) as finding
from socrata_datasets
cross join unnest(unreadable) as field
where retired_at is null
group by field
