select
    region, run, mode, coalesce(kinds, '{}') as kinds, state, reason, started_at, ended_at,
    published, applied, dead, retired
from runs
where $1::text is null or region = $1
order by region, run desc
