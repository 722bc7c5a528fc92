select mode, coalesce(scope, '{}') as scope, state, reason, started_at, ended_at, published, applied, dead, retired
from runs
where region = $1 and run = $2
