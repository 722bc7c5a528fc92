-- For each winning version, when the runs retire the row: by the run that saw it before ($4, null for a new row), and by
-- the run that sees it now. The function is called once for each domain and run, of which a batch has few.
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) with ordinality
        as given (region, domain, last_run, seen_before, ordinal)
),
seen as (
    select region, domain, last_run from given
    union
    select region, domain, seen_before from given where seen_before is not null
),
due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from seen
)
select before.retired_at, now.retired_at as due
from given
join due as now
    on now.region = given.region and now.domain = given.domain and now.last_run = given.last_run
left join due as before
    on before.region = given.region and before.domain = given.domain and before.last_run = given.seen_before
order by given.ordinal
