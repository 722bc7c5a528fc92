with removed as (
    delete from socrata_dataset_stats as held
    using differing_dataset_stats as found
    where held.region = found.region and held.domain = found.domain and held.id = found.id
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_dataset_stats (
    region, domain, id, last_run, last_page, observed_at, page_views_total, page_views_last_month,
    page_views_last_week, download_count, content_hash
)
select
    made.region, made.domain, made.id, made.last_run, made.last_page, made.observed_at,
    made.page_views_total, made.page_views_last_month, made.page_views_last_week, made.download_count,
    made.content_hash
from differing_dataset_stats as found
join shadow_dataset_stats as made using (region, domain, id)
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by made.region, made.domain, made.id
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
