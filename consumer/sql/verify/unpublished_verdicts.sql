select
    'run ' || run || ' of ' || region as what,
    'decided as ' || state || ' at ' || decided_at || ', and the topic has not been told' as finding
from verdicts
where not published
