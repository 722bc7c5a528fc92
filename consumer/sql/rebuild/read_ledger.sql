-- Everything outside of the records that decides about rows: what retired_at() reads, the floors of moved tables, and the
-- replayed dead letters. Two texts are equal if and only if all of this is equal.
select jsonb_build_array(
    (
        select jsonb_agg(jsonb_build_array(region, run, state, ended_at, mode, kinds, scope) order by region, run)
        from runs
        where state in ('balanced', 'released') and (mode = 'full' or scope is not null)
    ),
    (
        select jsonb_agg(
            jsonb_build_array(region, run, domain, confirmed_below, lifted) order by region, run, domain
        )
        from run_shields
    ),
    (
        select jsonb_agg(jsonb_build_array(region, domain, first_run) order by region, domain)
        from domain_first_runs
    ),
    (
        select jsonb_agg(jsonb_build_array(topic, region, run) order by topic, region)
        from run_floors
    ),
    (
        select jsonb_build_array(count(*), max(settled_at))
        from dead_letters
        where state = 'replayed'
    )
)::text
