-- The last run for each set of domains.
select
    'run ' || run || ' of ' || region as what,
    concat_ws(
        '; ',
        'it crawled ' || array_to_string(scope, ', '),
        'it also saw assets of ' || nullif(array_to_string(others, ', '), ''),
        'it saw none of ' || nullif(array_to_string(missing, ', '), '')
    ) as finding
from (
    select distinct on (region, scope) region, run, scope, marker -> 'seen' as seen
    from runs
    where scope is not null and marker is not null
    order by region, scope, run desc
) as last_run
cross join lateral (
    select
        array(
            select key from jsonb_each_text(seen)
            where value::bigint > 0 and not lower(key collate "C") = any (scope)
            order by key
        ) as others,
        array(
            select requested.domain from unnest(scope) as requested (domain)
            where not exists (
                select from jsonb_each_text(seen)
                where value::bigint > 0 and lower(key collate "C") = requested.domain
            )
            order by requested.domain
        ) as missing
) as compared
where cardinality(others) > 0 or cardinality(missing) > 0
