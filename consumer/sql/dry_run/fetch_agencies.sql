insert into socrata_agencies (region, host, agency, last_run, last_page, observed_at)
select found.region, found.host, found.agency, found.last_run, found.last_page, found.observed_at
from unnest($1::text[], $2::text[], $3::text[]) as given (region, host, agency)
cross join lateral (
    select region, host, agency, last_run, last_page, observed_at
    from live_agencies as live
    where live.region = given.region and live.host = given.host and live.agency = given.agency
    limit 1
) as found
on conflict do nothing
