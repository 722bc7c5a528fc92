-- The version guard: a row that won has a version that is not older than the stored one, and its lock keeps other
-- versions of its key waiting until the transaction ends. Shows for each given row whether it won, and what its key had
-- before.
with given as (
    select *
    from unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[]
    ) with ordinality as given (
        region, domain, id, last_run, last_page, observed_at,
        page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash, place
    )
),
-- Read under the row's lock. The statement's snapshot may show a hash that another transaction has just replaced, and
-- a row that is wrongly treated as unchanged would keep the other transaction's content. Lateral with a limit: one look-up
-- by key each, whatever the planner estimates.
stored as materialized (
    select given.place, found.last_run, found.content_hash
    from given
    cross join lateral (
        select last_run, content_hash
        from socrata_dataset_stats as stats
        where stats.region = given.region and stats.domain = given.domain and stats.id = given.id
        limit 1
        for no key update
    ) as found
),
won as (
    insert into socrata_dataset_stats as stats (
        region, domain, id, last_run, last_page, observed_at,
        page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash
    )
    select
        given.region, given.domain, given.id, given.last_run, given.last_page, given.observed_at,
        given.page_views_total, given.page_views_last_month, given.page_views_last_week, given.download_count,
        given.content_hash
    from given
    join stored using (place)
    order by given.place
    on conflict (region, domain, id) do update
    set
        last_run = excluded.last_run,
        last_page = excluded.last_page,
        observed_at = excluded.observed_at,
        page_views_total = excluded.page_views_total,
        page_views_last_month = excluded.page_views_last_month,
        page_views_last_week = excluded.page_views_last_week,
        download_count = excluded.download_count,
        content_hash = excluded.content_hash
    where (stats.last_run, stats.last_page) <= (excluded.last_run, excluded.last_page)
    returning region, domain, id
)
select given.place, won.region is not null as won, stored.last_run, stored.content_hash
from given
join stored using (place)
left join won using (region, domain, id)
order by given.place
