select marker, started_at, ended_at
from runs
where region = $1 and run = $2
