-- What each winner's row holds now (nulls where there is none), and when its run says that it was retired:
-- one call for each domain and run, of which a batch has few. Lateral with a limit: one look-up by key each, whatever
-- the planner thinks of the batch's size.
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) with ordinality
        as given (region, domain, id, last_run, place)
),
due as materialized (
    select region, domain, last_run, retired_at(region, domain, last_run) as retired_at
    from (select distinct region, domain, last_run from given) as seen
)
select found.content_hash, found.retired_at, due.retired_at as due
from given
join due using (region, domain, last_run)
left join lateral (
    select content_hash, retired_at
    from socrata_datasets as held
    where held.region = given.region and held.domain = given.domain and held.id = given.id
    limit 1
) as found on true
order by given.place
