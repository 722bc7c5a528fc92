insert into socrata_domains (region, domain, declared_count, last_run, last_page, observed_at)
select found.region, found.domain, found.declared_count, found.last_run, found.last_page, found.observed_at
from unnest($1::text[], $2::text[]) as given (region, domain)
cross join lateral (
    select region, domain, declared_count, last_run, last_page, observed_at
    from live_domains as live
    where live.region = given.region and live.domain = given.domain
    limit 1
) as found
on conflict do nothing
