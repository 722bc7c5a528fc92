-- A run on hold is superseded while a later balanced run covers all its domains.
with derived as (
    select held.region, held.run, verdicts.verdict #>> '{judged,reason}' as reason, min(later.run) as by_run
    from runs as held
    join verdicts using (region, run)
    left join runs as later
        on later.region = held.region and later.run > held.run and later.state = 'balanced'
        and case
            when held.scope is null then later.scope is null
            when later.scope is not null then held.scope <@ later.scope
            else not exists (
                select from unnest(held.scope) as covered (domain)
                where not exists (
                    select from domain_first_runs as known
                    where known.region = held.region and known.domain = covered.domain
                        and known.first_run <= later.run
                )
            )
        end
    where held.region = $1 and held.state in ('held', 'superseded')
    group by held.region, held.run, verdicts.verdict
)
update runs
set
    state = case when by_run is null then 'held' else 'superseded' end,
    reason = case
        when by_run is null then derived.reason
        else 'run ' || by_run || ' was accepted; it was held: ' || derived.reason
    end
from derived
where runs.region = derived.region and runs.run = derived.run
    and (runs.state = 'superseded') is distinct from (by_run is not null)
