-- Inserts the rows that have no stats yet, with all they contain; shows for each given row whether it was inserted.
-- A row that is inserted beside this is waited for, so win_stats.sql sees it.
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
inserted as (
    insert into socrata_dataset_stats (
        region, domain, id, last_run, last_page, observed_at,
        page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash
    )
    select
        region, domain, id, last_run, last_page, observed_at,
        page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash
    from given
    order by place
    on conflict (region, domain, id) do nothing
    returning region, domain, id
)
select inserted.region is not null as inserted
from given
left join inserted using (region, domain, id)
order by given.place
