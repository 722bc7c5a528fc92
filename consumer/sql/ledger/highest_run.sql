-- Includes decisions, because the decision about a run may arrive before the run.
select max(run)
from (
    select run from runs where region = $1
    union all
    select run from verdicts where region = $1
) as known
