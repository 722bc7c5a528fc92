-- A run publishes the host of each agency, too.
select
    region || '/' || host || '/' || agency as what,
    'there is no row for ' || host || ' in socrata_hosts, though run ' || last_run || ' has arrived' as finding
from socrata_agencies
join runs using (region)
where runs.run = last_run and runs.state not in ('open', 'abandoned') and runs.dead = 0
    and not exists (
        select from socrata_hosts as held
        where held.region = socrata_agencies.region and held.host = socrata_agencies.host
    )
