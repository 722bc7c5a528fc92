-- Views for people, and the two rules by which assets are grouped.
--
-- A view that shall get another column is replaced by a later migration; new columns come last then.

-- Few assets ever leave the catalog, so this index is small and costs a crawl nothing.
create index socrata_datasets_retired_at on socrata_datasets (retired_at) where retired_at is not null;

-- Both are inlined where they are used: neither a view nor a query pays for the call.
create function asset_host(permalink text, domain text) returns text
language sql immutable parallel safe
return lower(
    case
        when asset_host.permalink like 'http%://_%' then split_part(split_part(asset_host.permalink, '/', 3), ':', 1)
        else asset_host.domain
    end
);

comment on function asset_host(text, text) is 'The host that an asset is on: the permalink''s, in lower case; the domain''s where there is no permalink';

-- All that Unicode calls white space, as the producer trims it.
create function agency_name(attribution text) returns text
language sql immutable parallel safe
return nullif(
    btrim(
        agency_name.attribution,
        E' \t\n\x0b\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
    ),
    ''
);

comment on function agency_name(text) is 'The agency that an attribution names: the text without the white space around it';

create view active_datasets as
select
    asset.region, asset.domain, asset.id, asset.name, asset.type, asset.description, asset.attribution,
    asset.attribution_link, asset.category, asset.categories, asset.tags, asset.domain_tags,
    asset.domain_metadata, asset.license, asset.provenance, asset.permalink, asset.link, asset.parent_ids,
    asset.columns, asset.created_at, asset.updated_at, asset.metadata_updated_at, asset.data_updated_at,
    asset.publication_date, asset.record, asset.unreadable,
    asset_host(asset.permalink, asset.domain) as host,
    case
        when asset.type in ('dataset', 'filter')
            then 'https://' || asset_host(asset.permalink, asset.domain) || '/resource/' || asset.id || '.json'
    end as resource_url,
    stats.last_run, stats.observed_at, stats.page_views_total, stats.page_views_last_month,
    stats.page_views_last_week, stats.download_count
from socrata_datasets as asset
left join socrata_dataset_stats as stats using (region, domain, id)
where asset.retired_at is null;

comment on view active_datasets is 'Every asset that is in the catalog now, with its page views and the address of its rows';
comment on column active_datasets.region is 'The region of the Discovery API: us or eu';
comment on column active_datasets.domain is 'The canonical host of the portal that publishes the asset';
comment on column active_datasets.id is 'The asset''s 4x4 id';
comment on column active_datasets.name is 'Its title; not unique, not even within a domain';
comment on column active_datasets.type is 'dataset, chart, filter, map, story, file, href and others to come';
comment on column active_datasets.description is 'Its description, often with HTML';
comment on column active_datasets.attribution is 'The agency that provides it, at most 1000 bytes of it';
comment on column active_datasets.attribution_link is 'The agency''s page';
comment on column active_datasets.category is 'The category that its domain gives it';
comment on column active_datasets.categories is 'The categories that the catalog gives it';
comment on column active_datasets.tags is 'The tags that the catalog gives it';
comment on column active_datasets.domain_tags is 'The tags that its domain gives it';
comment on column active_datasets.domain_metadata is 'Its domain''s own fields, a list of key and value; keys may repeat';
comment on column active_datasets.license is 'The name of its licence';
comment on column active_datasets.provenance is 'official or community';
comment on column active_datasets.permalink is 'Its short, lasting address';
comment on column active_datasets.link is 'Its address with category and name';
comment on column active_datasets.parent_ids is 'The ids of the assets that it is made from';
comment on column active_datasets.columns is 'Its columns, a list of name, field_name, datatype, description and format';
comment on column active_datasets.created_at is 'When it was created';
comment on column active_datasets.updated_at is 'When its data or metadata last changed, as the API says';
comment on column active_datasets.metadata_updated_at is 'When its metadata last changed';
comment on column active_datasets.data_updated_at is 'When its data last changed; null for links, maps and files';
comment on column active_datasets.publication_date is 'When it was published';
comment on column active_datasets.record is 'The API''s object without page views and download count, which move on each crawl';
comment on column active_datasets.unreadable is 'The fields of the object that had to be nulled, cut or mended; the topic keeps the original';
comment on column active_datasets.host is 'The host that it is on: its permalink''s, in lower case';
comment on column active_datasets.resource_url is 'Where the SODA API serves its rows as JSON; null for types other than dataset and filter, whose rows are those of the assets in parent_ids, if they have any';
comment on column active_datasets.last_run is 'The run that last published it';
comment on column active_datasets.observed_at is 'When the API''s answer arrived';
comment on column active_datasets.page_views_total is 'Page views of all time';
comment on column active_datasets.page_views_last_month is 'Page views of the last month';
comment on column active_datasets.page_views_last_week is 'Page views of the last week';
comment on column active_datasets.download_count is 'Downloads of all time';

-- An asset is in it once: gone, new or changed.
create view recent_changes as
select
    'retired' as what, retired_at as changed_at, region, domain, id, name, type, attribution, permalink,
    created_at, updated_at, data_updated_at, retired_at
from socrata_datasets
where retired_at >= now() - interval '30 days'
union all
select
    'new' as what, created_at as changed_at, region, domain, id, name, type, attribution, permalink,
    created_at, updated_at, data_updated_at, retired_at
from socrata_datasets
where retired_at is null and created_at >= now() - interval '30 days'
union all
select
    'changed' as what, updated_at as changed_at, region, domain, id, name, type, attribution, permalink,
    created_at, updated_at, data_updated_at, retired_at
from socrata_datasets
where retired_at is null and updated_at >= now() - interval '30 days'
    and (created_at is null or created_at < now() - interval '30 days');

comment on view recent_changes is 'What has become of assets in the last 30 days, each once';
comment on column recent_changes.what is 'retired (a whole crawl no longer found it), new (it was created) or changed (its data or metadata)';
comment on column recent_changes.changed_at is 'When: retired_at, created_at or updated_at';
comment on column recent_changes.region is 'The region of the Discovery API: us or eu';
comment on column recent_changes.domain is 'The canonical host of the portal that publishes the asset';
comment on column recent_changes.id is 'The asset''s 4x4 id';
comment on column recent_changes.name is 'Its title; not unique, not even within a domain';
comment on column recent_changes.type is 'dataset, chart, filter, map, story, file, href and others to come';
comment on column recent_changes.attribution is 'The agency that provides it, at most 1000 bytes of it';
comment on column recent_changes.permalink is 'Its short, lasting address';
comment on column recent_changes.created_at is 'When it was created';
comment on column recent_changes.updated_at is 'When its data or metadata last changed, as the API says';
comment on column recent_changes.data_updated_at is 'When its data last changed; null for links, maps and files';
comment on column recent_changes.retired_at is 'When a whole crawl ended that no longer found the asset; null while it is there';

create view domain_summary as
with held as (
    select
        region, domain,
        count(*) filter (where active) as assets,
        count(*) filter (where active and type = 'dataset') as datasets,
        count(*) filter (where active and type = 'filter') as filters,
        count(*) filter (where active and type = 'chart') as charts,
        count(*) filter (where active and type = 'map') as maps,
        count(*) filter (where active and type = 'file') as files,
        count(*) filter (
            where active and coalesce(type, '') not in ('dataset', 'filter', 'chart', 'map', 'file')
        ) as others,
        count(*) filter (where not active) as retired,
        max(updated_at) filter (where active) as newest_update,
        sum(page_views_total) filter (where active) as page_views_total,
        sum(page_views_last_month) filter (where active) as page_views_last_month,
        sum(download_count) filter (where active) as download_count
    from (
        select region, domain, type, updated_at, retired_at is null as active,
            page_views_total, page_views_last_month, download_count
        from socrata_datasets
        left join socrata_dataset_stats using (region, domain, id)
    ) as asset
    group by region, domain
)
select
    region, domain,
    coalesce(assets, 0) as assets, coalesce(datasets, 0) as datasets, coalesce(filters, 0) as filters,
    coalesce(charts, 0) as charts, coalesce(maps, 0) as maps, coalesce(files, 0) as files,
    coalesce(others, 0) as others, coalesce(retired, 0) as retired, newest_update,
    coalesce(page_views_total, 0) as page_views_total,
    coalesce(page_views_last_month, 0) as page_views_last_month,
    coalesce(download_count, 0) as download_count,
    declared.declared_count,
    declared.declared_count - coalesce(assets, 0) as missing,
    declared.observed_at as declared_at
from held
full join socrata_domains as declared using (region, domain);

comment on view domain_summary is 'Every domain that the API lists or that has assets: what it has, and what the API says it has';
comment on column domain_summary.region is 'The region of the Discovery API: us or eu';
comment on column domain_summary.domain is 'The portal''s canonical host';
comment on column domain_summary.assets is 'How many assets it has';
comment on column domain_summary.datasets is 'Of these, tables';
comment on column domain_summary.filters is 'Of these, filtered views of tables';
comment on column domain_summary.charts is 'Of these, charts';
comment on column domain_summary.maps is 'Of these, maps';
comment on column domain_summary.files is 'Of these, files';
comment on column domain_summary.others is 'Of these, all other types';
comment on column domain_summary.retired is 'How many more it had that left the catalog';
comment on column domain_summary.newest_update is 'When one of its assets last changed';
comment on column domain_summary.page_views_total is 'Page views of all time, of all its assets';
comment on column domain_summary.page_views_last_month is 'Page views of the last month, of all its assets';
comment on column domain_summary.download_count is 'Downloads of all time, of all its assets';
comment on column domain_summary.declared_count is 'How many assets the API says it has; null where it does not list the domain';
comment on column domain_summary.missing is 'declared_count less assets: how many are declared and not held, negative where more are held';
comment on column domain_summary.declared_at is 'When the API last listed the domain';

create view host_summary as
with held as (
    select
        region, host,
        count(*) filter (where active) as assets,
        count(*) filter (where active and type = 'dataset') as datasets,
        count(*) filter (where active and type = 'filter') as filters,
        count(*) filter (where active and type = 'chart') as charts,
        count(*) filter (where active and type = 'map') as maps,
        count(*) filter (where active and type = 'file') as files,
        count(*) filter (
            where active and coalesce(type, '') not in ('dataset', 'filter', 'chart', 'map', 'file')
        ) as others,
        count(*) filter (where not active) as retired,
        max(updated_at) filter (where active) as newest_update,
        sum(page_views_total) filter (where active) as page_views_total,
        sum(page_views_last_month) filter (where active) as page_views_last_month,
        sum(download_count) filter (where active) as download_count
    from (
        select region, asset_host(permalink, domain) collate "C" as host, type, updated_at,
            retired_at is null as active, page_views_total, page_views_last_month, download_count
        from socrata_datasets
        left join socrata_dataset_stats using (region, domain, id)
    ) as asset
    group by region, host
)
select
    region, host, seen.domain,
    coalesce(assets, 0) as assets, coalesce(datasets, 0) as datasets, coalesce(filters, 0) as filters,
    coalesce(charts, 0) as charts, coalesce(maps, 0) as maps, coalesce(files, 0) as files,
    coalesce(others, 0) as others, coalesce(retired, 0) as retired, newest_update,
    coalesce(page_views_total, 0) as page_views_total,
    coalesce(page_views_last_month, 0) as page_views_last_month,
    coalesce(download_count, 0) as download_count,
    seen.observed_at
from held
full join socrata_hosts as seen using (region, host);

comment on view host_summary is 'Every hostname that assets were seen on, and what is there';
comment on column host_summary.region is 'The region of the Discovery API: us or eu';
comment on column host_summary.host is 'The hostname of permalinks, lower case';
comment on column host_summary.domain is 'The canonical host of the portal behind it';
comment on column host_summary.assets is 'How many assets it has';
comment on column host_summary.datasets is 'Of these, tables';
comment on column host_summary.filters is 'Of these, filtered views of tables';
comment on column host_summary.charts is 'Of these, charts';
comment on column host_summary.maps is 'Of these, maps';
comment on column host_summary.files is 'Of these, files';
comment on column host_summary.others is 'Of these, all other types';
comment on column host_summary.retired is 'How many more it had that left the catalog';
comment on column host_summary.newest_update is 'When one of its assets last changed';
comment on column host_summary.page_views_total is 'Page views of all time, of all its assets';
comment on column host_summary.page_views_last_month is 'Page views of the last month, of all its assets';
comment on column host_summary.download_count is 'Downloads of all time, of all its assets';
comment on column host_summary.observed_at is 'When assets were last seen on it';

create view agency_summary as
with held as (
    select
        region, host, agency,
        count(*) filter (where active) as assets,
        count(*) filter (where active and type = 'dataset') as datasets,
        count(*) filter (where active and type = 'filter') as filters,
        count(*) filter (where active and type = 'chart') as charts,
        count(*) filter (where active and type = 'map') as maps,
        count(*) filter (where active and type = 'file') as files,
        count(*) filter (
            where active and coalesce(type, '') not in ('dataset', 'filter', 'chart', 'map', 'file')
        ) as others,
        count(*) filter (where not active) as retired,
        max(updated_at) filter (where active) as newest_update,
        sum(page_views_total) filter (where active) as page_views_total,
        sum(page_views_last_month) filter (where active) as page_views_last_month,
        sum(download_count) filter (where active) as download_count
    from (
        select region, asset_host(permalink, domain) collate "C" as host,
            agency_name(attribution) collate "C" as agency, type, updated_at,
            retired_at is null as active, page_views_total, page_views_last_month, download_count
        from socrata_datasets
        left join socrata_dataset_stats using (region, domain, id)
    ) as asset
    where agency is not null
    group by region, host, agency
)
select
    region, host, agency,
    coalesce(assets, 0) as assets, coalesce(datasets, 0) as datasets, coalesce(filters, 0) as filters,
    coalesce(charts, 0) as charts, coalesce(maps, 0) as maps, coalesce(files, 0) as files,
    coalesce(others, 0) as others, coalesce(retired, 0) as retired, newest_update,
    coalesce(page_views_total, 0) as page_views_total,
    coalesce(page_views_last_month, 0) as page_views_last_month,
    coalesce(download_count, 0) as download_count,
    seen.observed_at
from held
full join socrata_agencies as seen using (region, host, agency);

comment on view agency_summary is 'Every agency that assets are attributed to, by host, and what it has there';
comment on column agency_summary.region is 'The region of the Discovery API: us or eu';
comment on column agency_summary.host is 'The host that the agency''s assets are on';
comment on column agency_summary.agency is 'The agency''s name, at most 1000 bytes of it';
comment on column agency_summary.assets is 'How many assets it has';
comment on column agency_summary.datasets is 'Of these, tables';
comment on column agency_summary.filters is 'Of these, filtered views of tables';
comment on column agency_summary.charts is 'Of these, charts';
comment on column agency_summary.maps is 'Of these, maps';
comment on column agency_summary.files is 'Of these, files';
comment on column agency_summary.others is 'Of these, all other types';
comment on column agency_summary.retired is 'How many more it had that left the catalog';
comment on column agency_summary.newest_update is 'When one of its assets last changed';
comment on column agency_summary.page_views_total is 'Page views of all time, of all its assets';
comment on column agency_summary.page_views_last_month is 'Page views of the last month, of all its assets';
comment on column agency_summary.download_count is 'Downloads of all time, of all its assets';
comment on column agency_summary.observed_at is 'When an asset was last seen that is attributed to it';
