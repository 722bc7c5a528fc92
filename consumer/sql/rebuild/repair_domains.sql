with removed as (
    delete from socrata_domains as held
    using differing_domains as found
    where held.region = found.region and held.domain = found.domain
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_domains (
    region, domain, declared_count, last_run, last_page, observed_at
)
select
    made.region, made.domain, made.declared_count, made.last_run, made.last_page, made.observed_at
from differing_domains as found
join shadow_domains as made using (region, domain)
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by made.region, made.domain
on conflict (region, domain) do update
set
    declared_count = excluded.declared_count,
    last_run = excluded.last_run,
    last_page = excluded.last_page,
    observed_at = excluded.observed_at
