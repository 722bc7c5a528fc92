-- The end-of-run records of full crawls name the domains.
select
    region || '/' || domain as what,
    'the first full crawl that listed or saw it is ' || coalesce(stored.first_run::text, 'missing')
        || ' in domain_first_runs and ' || coalesce(expected.first_run::text, 'missing') || ' by the runs' as finding
from (
    select runs.region collate "C" as region, lower(named.domain collate "C") as domain, min(runs.run) as first_run
    from runs
    cross join lateral (
        select jsonb_object_keys(runs.marker -> 'declared')
        union
        select jsonb_object_keys(runs.marker -> 'seen')
    ) as named (domain)
    where runs.mode = 'full' and runs.marker is not null
    group by 1, 2
) as expected
full join domain_first_runs as stored using (region, domain)
where expected.first_run is distinct from stored.first_run
