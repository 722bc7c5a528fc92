select
    'run ' || run || ' of ' || region as what,
    'its decision is ' || state || ' in revision ' || coalesce(verdict ->> 'revision', '0')
        || ', and the topic does not contain it yet' as finding
from verdicts
where not published
