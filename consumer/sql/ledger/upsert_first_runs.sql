-- Returns the domains whose first run is new or has become earlier.
insert into domain_first_runs as known (region, domain, first_run)
select $1, domain, $2
from unnest($3::text[]) as given (domain)
on conflict (region, domain) do update
set first_run = excluded.first_run
where known.first_run > excluded.first_run
returning domain
