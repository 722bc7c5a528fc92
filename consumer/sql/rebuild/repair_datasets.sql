with removed as (
    delete from socrata_datasets as held
    using differing_datasets as found
    where held.region = found.region and held.domain = found.domain and held.id = found.id
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_datasets (
    region, domain, id, name, type, description, attribution, attribution_link, category, categories,
    tags, domain_tags, domain_metadata, license, provenance, permalink, link, parent_ids, columns,
    created_at, updated_at, metadata_updated_at, data_updated_at, publication_date, record, unreadable,
    content_hash, retired_at
)
select
    made.region, made.domain, made.id, made.name, made.type, made.description, made.attribution,
    made.attribution_link, made.category, made.categories, made.tags, made.domain_tags,
    made.domain_metadata, made.license, made.provenance, made.permalink, made.link, made.parent_ids,
    made.columns, made.created_at, made.updated_at, made.metadata_updated_at, made.data_updated_at,
    made.publication_date, made.record, made.unreadable, made.content_hash, made.retired_at
from differing_datasets as found
join shadow_datasets as made using (region, domain, id)
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by made.region, made.domain, made.id
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
