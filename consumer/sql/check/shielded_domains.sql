-- The last shield of each domain, while it protects datasets. The same rows as in verify/shielded_domains.sql.
select region, domain, run, kept
from (
    select distinct on (shields.region, shields.domain) shields.region, shields.domain, shields.run
    from run_shields as shields
    join runs using (region, run)
    where runs.state in ('balanced', 'released') and not shields.lifted
    order by shields.region, shields.domain, shields.run desc
) as last_shield
cross join lateral (
    select count(*) as kept
    from socrata_datasets as stored
    join socrata_dataset_stats as stats using (region, domain, id)
    where stored.region = last_shield.region and lower(stored.domain) = last_shield.domain
        and stored.retired_at is null and stats.last_run < last_shield.run
) as counted
where kept > 0 and ($1::text is null or region = $1)
order by region, kept desc, domain
