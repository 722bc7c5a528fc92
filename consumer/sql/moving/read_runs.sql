-- The highest run of each region that the books or the verdicts know.
select region, max(run) as run
from (
    select region, run from runs
    union all
    select region, run from verdicts
) as known
group by region
order by region
