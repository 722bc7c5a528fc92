-- Of all that are known: a verdict may be of a run that is still to arrive.
select max(run)
from (
    select run from runs where region = $1
    union all
    select run from verdicts where region = $1
) as known
