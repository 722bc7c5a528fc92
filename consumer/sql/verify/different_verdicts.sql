-- Both are written by one transaction. A run whose markers are not all in yet waits to hear of its verdict, also
-- one that was taken for abandoned.
select
    'run ' || run || ' of ' || region as what,
    'runs says ' || runs.state || ', verdicts says ' || verdicts.state as finding
from runs
join verdicts using (region, run)
where runs.state not in ('open', 'abandoned', verdicts.state)
