-- Canonical content: what an asset's row stores no longer depends on the order in which the API lists columns, tags
-- and metadata.

-- Nullable and not filled here: the hashes so far have no revision, so they can't be compared with the new ones. A row
-- without a hash is compared by its stored object and rewritten when its asset is next published. No index, so that updates
-- stay in place (HOT).
alter table socrata_dataset_stats add column content_hash bytea;

comment on column socrata_dataset_stats.content_hash is 'The content_hash of the asset''s row in socrata_datasets, compared first on each crawl; null for a row from before revisions, until its asset is next published';

comment on column socrata_datasets.categories is 'The categories that the catalog gives it, ordered; their order in the API has no meaning';
comment on column socrata_datasets.tags is 'The tags that the catalog gives it, ordered; hardly ever set';
comment on column socrata_datasets.domain_tags is 'The tags that its domain gives it, ordered';
comment on column socrata_datasets.domain_metadata is 'Its domain''s own fields, an ordered list of key and value; keys may repeat';
comment on column socrata_datasets.columns is 'Its columns ordered by field_name, a list of name, field_name, datatype, description and format';
comment on column socrata_datasets.record is 'The API''s object without page views and download count, which change on each crawl; columns, tags, categories and metadata are ordered';
comment on column socrata_datasets.unreadable is 'The fields of the object that had to be nulled, cut or sanitized, ordered; the topic keeps the original';
comment on column socrata_datasets.content_hash is 'The revision of the row''s form (first byte), then a hash of record and unreadable';

-- Which tables these are. A program reads it at its start and with each lock, and stops when it changes.
create table installation (
    identity uuid not null default gen_random_uuid(),
    only_row boolean primary key default true,
    constraint installation_has_one_row check (only_row)
);

insert into installation default values;

comment on table installation is 'One row: which tables these are';
comment on column installation.identity is 'Drawn when the tables were made; a copy or a restored backup keeps it';
comment on column installation.only_row is 'Always true: keeps the table at one row';

-- Programs before this one don't look at the schema's revision while they run. They write this column with each batch, so
-- its new name stops them with an error and without dead letters.
alter table positions rename column updated_at to moved_at;
