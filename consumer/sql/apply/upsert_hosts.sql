-- Returns for each given row whether its version won, and whether the previous row had the same content (null if there
-- was none).
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[]) with ordinality
        as given (region, host, domain, last_run, last_page, observed_at, place)
),
before as (
    select given.place, held.domain = given.domain as same
    from given
    join socrata_hosts as held on held.region = given.region and held.host = given.host
),
won as (
    insert into socrata_hosts as held (region, host, domain, last_run, last_page, observed_at)
    select region, host, domain, last_run, last_page, observed_at
    from given
    on conflict (region, host) do update
    set
        domain = excluded.domain,
        last_run = excluded.last_run,
        last_page = excluded.last_page,
        observed_at = excluded.observed_at
    where (held.last_run, held.last_page) <= (excluded.last_run, excluded.last_page)
    returning region, host
)
select given.place, won.region is not null as won, before.same
from given
left join before using (place)
left join won using (region, host)
order by given.place
