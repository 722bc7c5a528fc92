select
    'run ' || run || ' of ' || region as what,
    'it has ' || runs.published || ' published, ' || applied || ' applied and ' || dead
        || ' dead, but the sums of its partitions are ' || sums.published || ', ' || sums.arrived || ' and '
        || sums.lost as finding
from runs
join (
    select region, run, coalesce(sum(published), 0) as published,
        sum(new + changed + unchanged + older) as arrived, sum(run_partitions.dead) as lost
    from run_partitions
    group by region, run
) as sums using (region, run)
where runs.published is not null
    and (runs.published, applied, dead) is distinct from (sums.published, sums.arrived, sums.lost)
