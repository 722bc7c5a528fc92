-- Returns for each given row whether its version won, and whether the previous row had the same content (null if there
-- was none).
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[]) with ordinality
        as given (region, domain, declared_count, last_run, last_page, observed_at, place)
),
before as (
    select given.place, stored.declared_count = given.declared_count as same
    from given
    join socrata_domains as stored on stored.region = given.region and stored.domain = given.domain
),
won as (
    insert into socrata_domains as stored (region, domain, declared_count, last_run, last_page, observed_at)
    select region, domain, declared_count, last_run, last_page, observed_at
    from given
    on conflict (region, domain) do update
    set
        declared_count = excluded.declared_count, last_run = excluded.last_run, last_page = excluded.last_page,
        observed_at = excluded.observed_at
    where (stored.last_run, stored.last_page) <= (excluded.last_run, excluded.last_page)
    returning region, domain
)
select given.place, won.region is not null as won, before.same
from given
left join before using (place)
left join won using (region, domain)
order by given.place;
