select domain, reason, lifted
from run_shields
where region = $1 and run = $2
order by domain
