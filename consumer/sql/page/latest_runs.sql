-- The latest runs of each region, newest first.
select
    latest.region, latest.run, latest.mode, latest.state, latest.ended_at, latest.published, latest.dead,
    latest.retired
from (select distinct runs.region from runs) as regions
cross join lateral (
    select
        runs.region, runs.run, runs.mode, runs.state, runs.ended_at, runs.published, runs.dead,
        runs.retired
    from runs
    where runs.region = regions.region
    order by runs.run desc
    limit $1
) as latest
order by latest.region, latest.run desc
