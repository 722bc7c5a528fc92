select
    'run ' || run || ' of ' || region as what,
    coalesce(reason, 'no reason is stored') as finding
from runs
where state = 'abandoned'
