-- One transaction writes both. An incomplete run has no state of its decision yet, nor has an abandoned one. A run on hold
-- may be superseded, because that depends on other runs.
select
    'run ' || run || ' of ' || region as what,
    'runs says ' || runs.state || ', verdicts says ' || verdicts.state as finding
from runs
join verdicts using (region, run)
where runs.state not in ('open', 'abandoned', verdicts.state)
    and not (runs.state = 'superseded' and verdicts.state = 'held')
union all
select
    'run ' || run || ' of ' || region || ', ' || coalesce(said.domain, held.domain),
    'run_shields has ' || coalesce(held.reason, 'no shield') || ', and verdicts has '
        || coalesce(said.reason, 'none')
from (
    select
        region, run, shield.key as domain, shield.value as reason,
        (verdict #>> array['judged', 'confirmed', shield.key])::bigint as confirmed_below,
        coalesce(verdict #> '{decided,domains}' ? shield.key, false) as lifted
    from verdicts
    join runs using (region, run)
    cross join lateral jsonb_each_text(verdict #> '{judged,shields}') as shield (key, value)
    where runs.state not in ('open', 'abandoned')
) as said
full join run_shields as held using (region, run, domain)
where (said.reason, said.confirmed_below, said.lifted)
    is distinct from (held.reason, held.confirmed_below, held.lifted)
