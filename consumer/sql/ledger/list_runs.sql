select
    region, run, mode, coalesce(kinds, '{}') as kinds, state, reason, started_at, ended_at,
    published, applied, dead, retired,
    (
        select count(*)
        from run_shields
        where run_shields.region = runs.region and run_shields.run = runs.run and not run_shields.lifted
    ) as shielded
from runs
where $1::text is null or region = $1
order by region, run desc
