-- The version guard: what is returned has won, and its row locks hold off other versions of these keys
-- until the transaction ends.
insert into socrata_dataset_stats as held (
    region, domain, id, last_run, last_page, observed_at,
    page_views_total, page_views_last_month, page_views_last_week, download_count
)
select
    region, domain, id, last_run, last_page, observed_at,
    page_views_total, page_views_last_month, page_views_last_week, download_count
from unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]
) as given (
    region, domain, id, last_run, last_page, observed_at,
    page_views_total, page_views_last_month, page_views_last_week, download_count
)
on conflict (region, domain, id) do update
set
    last_run = excluded.last_run,
    last_page = excluded.last_page,
    observed_at = excluded.observed_at,
    page_views_total = excluded.page_views_total,
    page_views_last_month = excluded.page_views_last_month,
    page_views_last_week = excluded.page_views_last_week,
    download_count = excluded.download_count
where (held.last_run, held.last_page) <= (excluded.last_run, excluded.last_page)
returning region, domain, id
