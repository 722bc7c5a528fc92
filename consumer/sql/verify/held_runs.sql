select
    'run ' || run || ' of ' || region as what,
    coalesce(reason, 'no reason is given') as finding
from runs
where state = 'held'
