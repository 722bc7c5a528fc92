select state, ended_at
from runs
where region = $1 and run = $2
for update
