create temporary table differing_hosts on commit drop as
select
    region, host,
    case when held.region is null then 'missing' when made.region is null then 'extra' else 'different' end as kind
from socrata_hosts as held
full join shadow_hosts as made using (region, host)
where row(
        held.domain, held.last_run, held.last_page, held.observed_at
    ) is distinct from row(
        made.domain, made.last_run, made.last_page, made.observed_at
    )
