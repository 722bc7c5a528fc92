with removed as (
    delete from socrata_hosts as held
    using differing_hosts as found
    where held.region = found.region and held.host = found.host
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_hosts (
    region, host, domain, last_run, last_page, observed_at
)
select
    made.region, made.host, made.domain, made.last_run, made.last_page, made.observed_at
from differing_hosts as found
join shadow_hosts as made using (region, host)
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by made.region, made.host
on conflict (region, host) do update
set
    domain = excluded.domain,
    last_run = excluded.last_run,
    last_page = excluded.last_page,
    observed_at = excluded.observed_at
