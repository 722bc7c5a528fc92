-- Lists arrive as array literals, for unnest would flatten arrays of arrays.
insert into socrata_datasets (
    region, domain, id, name, type, description, attribution, attribution_link, category,
    categories, tags, domain_tags, domain_metadata, license, provenance, permalink, link,
    parent_ids, columns, created_at, updated_at, metadata_updated_at, data_updated_at,
    publication_date, record, unreadable, content_hash, retired_at
)
select
    region, domain, id, name, type, description, attribution, attribution_link, category,
    categories::text[], tags::text[], domain_tags::text[], domain_metadata::jsonb, license, provenance,
    permalink, link, parent_ids::text[], columns::jsonb, created_at, updated_at, metadata_updated_at,
    data_updated_at, publication_date, record::jsonb, unreadable::text[], content_hash,
    retired_at
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
    $23::timestamptz[], $24::timestamptz[], $25::text[], $26::text[], $27::bytea[], $28::timestamptz[]
) as given (
    region, domain, id, name, type, description, attribution, attribution_link, category,
    categories, tags, domain_tags, domain_metadata, license, provenance, permalink, link,
    parent_ids, columns, created_at, updated_at, metadata_updated_at, data_updated_at,
    publication_date, record, unreadable, content_hash, retired_at
)
on conflict (region, domain, id) do update
set
    name = excluded.name,
    type = excluded.type,
    description = excluded.description,
    attribution = excluded.attribution,
    attribution_link = excluded.attribution_link,
    category = excluded.category,
    categories = excluded.categories,
    tags = excluded.tags,
    domain_tags = excluded.domain_tags,
    domain_metadata = excluded.domain_metadata,
    license = excluded.license,
    provenance = excluded.provenance,
    permalink = excluded.permalink,
    link = excluded.link,
    parent_ids = excluded.parent_ids,
    columns = excluded.columns,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    metadata_updated_at = excluded.metadata_updated_at,
    data_updated_at = excluded.data_updated_at,
    publication_date = excluded.publication_date,
    record = excluded.record,
    unreadable = excluded.unreadable,
    content_hash = excluded.content_hash,
    retired_at = excluded.retired_at
