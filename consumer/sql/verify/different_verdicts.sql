-- One transaction writes both tables. A decision may wait for the remaining end-of-run records of its run, even if the
-- run was abandoned meanwhile. A run on hold may be superseded, because that follows from other runs.
select
    'run ' || run || ' of ' || region as what,
    'its state is ' || runs.state || ' in runs and ' || verdicts.state || ' in verdicts' as finding
from runs
join verdicts using (region, run)
where runs.state not in ('open', 'abandoned', verdicts.state)
    and not (runs.state = 'superseded' and verdicts.state = 'held')
union all
select
    'run ' || run || ' of ' || region || ', ' || coalesce(decided.domain, stored.domain),
    'its shield is ' || coalesce(stored.reason, 'missing') || ' in run_shields and '
        || coalesce(decided.reason, 'missing') || ' in verdicts'
from (
    select
        region, run, shield.key as domain, shield.value as reason,
        (verdict #>> array['judged', 'confirmed', shield.key])::bigint as confirmed_below,
        coalesce(verdict #> '{decided,domains}' ? shield.key, false) as lifted
    from verdicts
    join runs using (region, run)
    cross join lateral jsonb_each_text(verdict #> '{judged,shields}') as shield (key, value)
    where runs.state not in ('open', 'abandoned')
) as decided
full join run_shields as stored using (region, run, domain)
where (decided.reason, decided.confirmed_below, decided.lifted)
    is distinct from (stored.reason, stored.confirmed_below, stored.lifted)
