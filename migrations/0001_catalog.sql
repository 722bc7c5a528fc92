-- The catalog: what the topics say, last version per key.
-- Keys compare as bytes (collate "C"), in the order in which batches take their locks.

create table socrata_datasets (
    region text collate "C" not null,
    domain text collate "C" not null,
    id text collate "C" not null,
    name text,
    type text,
    description text,
    attribution text,
    attribution_link text,
    category text,
    categories text[],
    tags text[],
    domain_tags text[],
    domain_metadata jsonb,
    license text,
    provenance text,
    permalink text,
    link text,
    parent_ids text[],
    columns jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    metadata_updated_at timestamptz,
    data_updated_at timestamptz,
    publication_date timestamptz,
    record jsonb not null,
    unreadable text[] not null,
    content_hash bytea not null,
    retired_at timestamptz,
    primary key (region, domain, id)
);

create index socrata_datasets_domain_type on socrata_datasets (domain, type) where retired_at is null;
create index socrata_datasets_updated_at on socrata_datasets (updated_at desc);
create index socrata_datasets_agency on socrata_datasets (region, domain, attribution);
create index socrata_datasets_tags on socrata_datasets using gin (tags);
create index socrata_datasets_categories on socrata_datasets using gin (categories);

-- Two thirds of an insert is the document's compression; lz4 is 1.4 times as fast where the server has it.
do $$
begin
    if exists (
        select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals)
    ) then
        alter table socrata_datasets alter column record set compression lz4;
    end if;
end
$$;

comment on table socrata_datasets is 'Every asset of the catalog: datasets, charts, maps, files and more';
comment on column socrata_datasets.region is 'The region of the Discovery API: us or eu';
comment on column socrata_datasets.domain is 'The canonical host of the portal that publishes the asset';
comment on column socrata_datasets.id is 'The asset''s 4x4 id';
comment on column socrata_datasets.name is 'Its title; not unique, not even within a domain';
comment on column socrata_datasets.type is 'dataset, chart, filter, map, story, file, href and others to come';
comment on column socrata_datasets.description is 'Its description, often with HTML';
comment on column socrata_datasets.attribution is 'The agency that provides it, at most 1000 bytes of it';
comment on column socrata_datasets.attribution_link is 'The agency''s page';
comment on column socrata_datasets.category is 'The category that its domain gives it';
comment on column socrata_datasets.categories is 'The categories that the catalog gives it';
comment on column socrata_datasets.tags is 'The tags that the catalog gives it';
comment on column socrata_datasets.domain_tags is 'The tags that its domain gives it';
comment on column socrata_datasets.domain_metadata is 'Its domain''s own fields, a list of key and value; keys may repeat';
comment on column socrata_datasets.license is 'The name of its licence';
comment on column socrata_datasets.provenance is 'official or community';
comment on column socrata_datasets.permalink is 'Its short, lasting address';
comment on column socrata_datasets.link is 'Its address with category and name';
comment on column socrata_datasets.parent_ids is 'The ids of the assets that it is made from';
comment on column socrata_datasets.columns is 'Its columns, a list of name, field_name, datatype, description and format';
comment on column socrata_datasets.created_at is 'When it was created';
comment on column socrata_datasets.updated_at is 'When its data or metadata last changed, as the API says';
comment on column socrata_datasets.metadata_updated_at is 'When its metadata last changed';
comment on column socrata_datasets.data_updated_at is 'When its data last changed; null for links, maps and files';
comment on column socrata_datasets.publication_date is 'When it was published';
comment on column socrata_datasets.record is 'The API''s object without page views and download count, which move on each crawl';
comment on column socrata_datasets.unreadable is 'The fields of the object that had to be nulled, cut or mended; the topic keeps the original';
comment on column socrata_datasets.content_hash is 'A hash of what is stored and of the revision of the code that made it';
comment on column socrata_datasets.retired_at is 'When a whole crawl ended that no longer found the asset; null while it is there';

-- Every crawl moves a row here and leaves the wide table alone, so half of each page is kept free for
-- updates in place (HOT), and there is no index but the key.
create table socrata_dataset_stats (
    region text collate "C" not null,
    domain text collate "C" not null,
    id text collate "C" not null,
    last_run bigint not null,
    last_page bigint not null,
    observed_at timestamptz not null,
    page_views_total bigint,
    page_views_last_month bigint,
    page_views_last_week bigint,
    download_count bigint,
    primary key (region, domain, id)
) with (fillfactor = 50);

comment on table socrata_dataset_stats is 'What moves on each crawl of an asset';
comment on column socrata_dataset_stats.region is 'The region of the Discovery API: us or eu';
comment on column socrata_dataset_stats.domain is 'The canonical host of the portal that publishes the asset';
comment on column socrata_dataset_stats.id is 'The asset''s 4x4 id';
comment on column socrata_dataset_stats.last_run is 'The run that last published it';
comment on column socrata_dataset_stats.last_page is 'The page of that run; run and page order all that was published for a key';
comment on column socrata_dataset_stats.observed_at is 'When the API''s answer arrived';
comment on column socrata_dataset_stats.page_views_total is 'Page views of all time';
comment on column socrata_dataset_stats.page_views_last_month is 'Page views of the last month';
comment on column socrata_dataset_stats.page_views_last_week is 'Page views of the last week';
comment on column socrata_dataset_stats.download_count is 'Downloads of all time';

create table socrata_domains (
    region text collate "C" not null,
    domain text collate "C" not null,
    declared_count bigint not null,
    last_run bigint not null,
    last_page bigint not null,
    observed_at timestamptz not null,
    primary key (region, domain)
);

comment on table socrata_domains is 'The domains that the API lists';
comment on column socrata_domains.region is 'The region of the Discovery API: us or eu';
comment on column socrata_domains.domain is 'The portal''s canonical host';
comment on column socrata_domains.declared_count is 'How many assets the API says it has';
comment on column socrata_domains.last_run is 'The run that last published it';
comment on column socrata_domains.last_page is 'The page of that run';
comment on column socrata_domains.observed_at is 'When the API''s answer arrived';

create table socrata_hosts (
    region text collate "C" not null,
    host text collate "C" not null,
    domain text collate "C" not null,
    last_run bigint not null,
    last_page bigint not null,
    observed_at timestamptz not null,
    primary key (region, host)
);

comment on table socrata_hosts is 'The hostnames that assets were seen on';
comment on column socrata_hosts.region is 'The region of the Discovery API: us or eu';
comment on column socrata_hosts.host is 'The hostname of permalinks, lower case';
comment on column socrata_hosts.domain is 'The canonical host of the portal behind it';
comment on column socrata_hosts.last_run is 'The run that last published it';
comment on column socrata_hosts.last_page is 'The page of that run';
comment on column socrata_hosts.observed_at is 'When the API''s answer arrived';

create table socrata_agencies (
    region text collate "C" not null,
    host text collate "C" not null,
    agency text collate "C" not null,
    last_run bigint not null,
    last_page bigint not null,
    observed_at timestamptz not null,
    primary key (region, host, agency)
);

comment on table socrata_agencies is 'The agencies that assets are attributed to';
comment on column socrata_agencies.region is 'The region of the Discovery API: us or eu';
comment on column socrata_agencies.host is 'The host that the agency''s assets are on';
comment on column socrata_agencies.agency is 'The agency''s name, at most 1000 bytes of it';
comment on column socrata_agencies.last_run is 'The run that last published it';
comment on column socrata_agencies.last_page is 'The page of that run';
comment on column socrata_agencies.observed_at is 'When the API''s answer arrived';
