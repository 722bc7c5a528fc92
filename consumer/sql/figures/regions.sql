-- The figures of each region for metrics: its last full crawl that was decided about, its runs on hold, and its last run.
select
    regions.region,
    (
        select max(runs.ended_at)
        from runs
        where runs.region = regions.region and runs.mode = 'full' and 'datasets' = any(runs.kinds)
            and runs.state in ('balanced', 'held', 'released', 'rejected', 'superseded')
    ) as full_run_ended_at,
    (
        select count(*)
        from runs
        where runs.region = regions.region and runs.state = 'held'
    ) as held,
    last_run.run,
    last_run.started_at,
    last_run.ended_at,
    last_run.published,
    last_run.applied,
    last_run.dead,
    last_run.retired
from (select distinct runs.region from runs) as regions
left join lateral (
    select
        runs.run, runs.started_at, runs.ended_at, runs.published, runs.applied, runs.dead, runs.retired
    from runs
    where runs.region = regions.region and runs.state not in ('open', 'abandoned')
    order by runs.run desc
    limit 1
) as last_run on true
order by regions.region
