-- What each domain has and what it would lose if the run were accepted.
select
    held.domain,
    count(*) as active,
    count(*) filter (where stats.last_run < $2) as lost
from socrata_datasets as held
join socrata_dataset_stats as stats using (region, domain, id)
where held.region = $1 and held.retired_at is null
group by held.domain
order by held.domain
