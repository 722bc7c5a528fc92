-- Returns for each given row whether its version won, whether it is new, and whether the row before it had the same content
-- (null if the statement's snapshot shows none). After a topic got more partitions, a key may be in two of them, so another
-- transaction may write the same row at the same time.
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[]) with ordinality
        as given (region, domain, declared_count, last_run, last_page, observed_at, place)
),
-- Compared under the row's lock: the snapshot may show content that another transaction has just replaced.
before as materialized (
    select given.place, found.same
    from given
    cross join lateral (
        select stored.declared_count = given.declared_count as same
        from socrata_domains as stored
        where stored.region = given.region and stored.domain = given.domain
        limit 1
        for no key update
    ) as found
),
won as (
    insert into socrata_domains as stored (region, domain, declared_count, last_run, last_page, observed_at)
    select region, domain, declared_count, last_run, last_page, observed_at
    -- The join makes the comparison come first: a row that this statement has replaced could not be locked any more.
    from given
    left join before using (place)
    order by place
    on conflict (region, domain) do update
    set
        declared_count = excluded.declared_count, last_run = excluded.last_run, last_page = excluded.last_page,
        observed_at = excluded.observed_at
    where (stored.last_run, stored.last_page) <= (excluded.last_run, excluded.last_page)
    -- xmax is 0 for an inserted row. For an updated row, `on conflict` first locked the old version, and the new version keeps
    -- that xmax.
    returning region, domain, xmax = 0 as inserted
)
select given.place, won.region is not null as won, coalesce(won.inserted, false) as inserted, before.same
from given
left join before using (place)
left join won using (region, domain)
order by given.place;
