with removed as (
    delete from socrata_agencies as held
    using differing_agencies as found
    where held.region = found.region and held.host = found.host and held.agency = found.agency
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_agencies (
    region, host, agency, last_run, last_page, observed_at
)
select
    made.region, made.host, made.agency, made.last_run, made.last_page, made.observed_at
from differing_agencies as found
join shadow_agencies as made using (region, host, agency)
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by made.region, made.host, made.agency
on conflict (region, host, agency) do update
set
    last_run = excluded.last_run,
    last_page = excluded.last_page,
    observed_at = excluded.observed_at
