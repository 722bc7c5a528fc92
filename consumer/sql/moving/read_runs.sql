-- The highest run of each region in the ledger or in the decisions.
select region, max(run) as run
from (
    select region, run from runs
    union all
    select region, run from verdicts
) as known
group by region
order by region
