select
    'run ' || run || ' of ' || region as what,
    'its verdict is ' || state || ' in revision ' || coalesce(verdict ->> 'revision', '0')
        || ', and the topic does not have that yet' as finding
from verdicts
where not published
