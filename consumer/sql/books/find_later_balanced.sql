-- The first that would have superseded it.
select min(run)
from runs
where region = $1 and run > $2 and state = 'balanced'
