-- Writes the stats of the rows that are new, and of those whose content is the stored one; most batches need nothing
-- else. Shows their keys, and which of them are new. All other rows are left to win_stats.sql:
--   - another content is stored, or a form of another revision,
--   - a newer version is stored,
--   - the row is or becomes retired: its run, or the stored one, is before the last run that could retire it.
--
-- A conflict locks the stored row before it is compared, and waits for whoever holds it. So the hash is compared as the
-- other transaction has left it, and all rows of the batch are locked afterwards, in the order of their keys.
with given as materialized (
    select *
    from unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[]
    ) with ordinality as given (
        region, domain, id, last_run, last_page, observed_at,
        page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash, place
    )
),
-- The last accepted crawl of each region as a whole. What was seen since then is not retired, unless its domain was also
-- crawled by itself later.
last_full as materialized (
    select named.region, coalesce(accepted.run, 0) as run
    from (select distinct region from given) as named
    left join lateral (
        select runs.run
        from runs
        where runs.region = named.region and runs.state in ('balanced', 'released') and runs.mode = 'full'
        order by runs.run desc
        limit 1
    ) as accepted on true
),
scoped as materialized (
    select distinct runs.region, named.domain
    from last_full
    join runs on runs.region = last_full.region and runs.run > last_full.run and runs.state in ('balanced', 'released')
    cross join lateral unnest(runs.scope) as named (domain)
)
insert into socrata_dataset_stats as stats (
    region, domain, id, last_run, last_page, observed_at,
    page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash
)
select
    region, domain, id, last_run, last_page, observed_at,
    page_views_total, page_views_last_month, page_views_last_week, download_count, content_hash
from given
order by place
on conflict (region, domain, id) do update
set
    last_run = excluded.last_run,
    last_page = excluded.last_page,
    observed_at = excluded.observed_at,
    page_views_total = excluded.page_views_total,
    page_views_last_month = excluded.page_views_last_month,
    page_views_last_week = excluded.page_views_last_week,
    download_count = excluded.download_count
where (stats.last_run, stats.last_page) <= (excluded.last_run, excluded.last_page)
    and stats.content_hash = excluded.content_hash
    and least(stats.last_run, excluded.last_run) >= (select run from last_full where last_full.region = excluded.region)
    and (excluded.region, lower(excluded.domain collate "C")) not in (select region, domain from scoped)
-- xmax is 0 for an inserted row. For an updated row, `on conflict` first locked the old version, and the new version keeps
-- that xmax.
returning region, domain, id, xmax = 0 as inserted
