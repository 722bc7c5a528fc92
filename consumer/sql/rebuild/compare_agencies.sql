create temporary table differing_agencies on commit drop as
select
    region, host, agency,
    case when held.region is null then 'missing' when made.region is null then 'extra' else 'different' end as kind
from socrata_agencies as held
full join shadow_agencies as made using (region, host, agency)
where row(
        held.last_run, held.last_page, held.observed_at
    ) is distinct from row(
        made.last_run, made.last_page, made.observed_at
    )
