select region
from runs
where run = $1
order by region
