insert into socrata_hosts (region, host, domain, last_run, last_page, observed_at)
select found.region, found.host, found.domain, found.last_run, found.last_page, found.observed_at
from unnest($1::text[], $2::text[]) as given (region, host)
cross join lateral (
    select region, host, domain, last_run, last_page, observed_at
    from live_hosts as live
    where live.region = given.region and live.host = given.host
    limit 1
) as found
on conflict do nothing
