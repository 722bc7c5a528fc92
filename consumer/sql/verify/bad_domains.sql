select
    'run ' || run || ' of ' || region as what,
    marker ->> 'bad_domains' || ' entries of /domains could not be read: `dead-letters list` shows them' as finding
from (
    select distinct on (region) region, run, marker
    from runs
    where mode = 'full' and marker is not null
    order by region, run desc
) as last_run
where (marker ->> 'bad_domains')::bigint > 0
