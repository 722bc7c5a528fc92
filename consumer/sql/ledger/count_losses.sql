-- The active datasets of each covered domain, and those that accepting the run would retire. $3: the domains that the run
-- was limited to, null for a full crawl. $4: the run below which absences may be confirmed. $5: ids that the run
-- could not read.
with counted as (
    select
        lower(stored.domain) as domain,
        count(*) as active,
        count(*) filter (where stats.last_run < $2) as lost,
        count(*) filter (where stats.last_run < $4) as long_lost,
        count(*) filter (where stored.id = any ($5::text[])) as unread
    from socrata_datasets as stored
    join socrata_dataset_stats as stats using (region, domain, id)
    where stored.region = $1 and stored.retired_at is null
    group by lower(stored.domain)
)
select counted.domain, counted.active, counted.lost, counted.long_lost, counted.unread, known.first_run
from counted
left join domain_first_runs as known on known.region = $1 and known.domain = counted.domain
where case when $3::text[] is null then known.first_run <= $2 else counted.domain = any ($3) end
order by counted.domain
