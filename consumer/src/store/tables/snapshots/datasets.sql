-- Lists arrive as array literals, because unnest would flatten arrays of arrays.
insert into socrata_datasets (
    region, domain, id, name, type, description, attribution, attribution_link, category, categories, tags,
    domain_tags, domain_metadata, license, provenance, permalink, link, parent_ids, columns, created_at,
    updated_at, metadata_updated_at, data_updated_at, publication_date, record, unreadable, content_hash,
    retired_at
)
select
    region, domain, id, name, type, description, attribution, attribution_link, category, categories::text[],
    tags::text[], domain_tags::text[], domain_metadata::jsonb, license, provenance, permalink, link,
    parent_ids::text[], columns::jsonb, created_at, updated_at, metadata_updated_at, data_updated_at,
    publication_date, record::jsonb, unreadable::text[], content_hash, retired_at
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
    $18::text[], $19::text[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::timestamptz[],
    $24::timestamptz[], $25::text[], $26::text[], $27::bytea[], $28::timestamptz[]
) as given (
    region, domain, id, name, type, description, attribution, attribution_link, category, categories, tags,
    domain_tags, domain_metadata, license, provenance, permalink, link, parent_ids, columns, created_at,
    updated_at, metadata_updated_at, data_updated_at, publication_date, record, unreadable, content_hash,
    retired_at
)
on conflict (region, domain, id) do update
set
    name = excluded.name, type = excluded.type, description = excluded.description,
    attribution = excluded.attribution, attribution_link = excluded.attribution_link,
    category = excluded.category, categories = excluded.categories, tags = excluded.tags,
    domain_tags = excluded.domain_tags, domain_metadata = excluded.domain_metadata, license = excluded.license,
    provenance = excluded.provenance, permalink = excluded.permalink, link = excluded.link,
    parent_ids = excluded.parent_ids, columns = excluded.columns, created_at = excluded.created_at,
    updated_at = excluded.updated_at, metadata_updated_at = excluded.metadata_updated_at,
    data_updated_at = excluded.data_updated_at, publication_date = excluded.publication_date,
    record = excluded.record, unreadable = excluded.unreadable, content_hash = excluded.content_hash,
    retired_at = excluded.retired_at;

-- Whether a binary COPY does the same as an insert. It sends no types, so the columns must have exactly these; it ignores
-- rules, and fails where policies restrict the rows.

-- A reader's lock keeps the table as it is until the transaction ends. Unlike LOCK, it needs no privilege on the table as a
-- whole.
select from socrata_datasets limit 0;

-- The client reads no messages while it sends the data. Many warnings of a trigger would block both sides for ever.
set local client_min_messages = error;

select class.relkind = 'r' and not class.relhasrules and not row_security_active(class.oid)
    and bool_and(existing.attname is not null) as can_copy
from pg_catalog.pg_class as class
cross join (
    values
    ('region', 'text'), ('domain', 'text'), ('id', 'text'), ('name', 'text'), ('type', 'text'),
    ('description', 'text'), ('attribution', 'text'), ('attribution_link', 'text'), ('category', 'text'),
    ('categories', 'text[]'), ('tags', 'text[]'), ('domain_tags', 'text[]'), ('domain_metadata', 'jsonb'),
    ('license', 'text'), ('provenance', 'text'), ('permalink', 'text'), ('link', 'text'),
    ('parent_ids', 'text[]'), ('columns', 'jsonb'), ('created_at', 'timestamptz'),
    ('updated_at', 'timestamptz'), ('metadata_updated_at', 'timestamptz'), ('data_updated_at', 'timestamptz'),
    ('publication_date', 'timestamptz'), ('record', 'jsonb'), ('unreadable', 'text[]'),
    ('content_hash', 'bytea'), ('retired_at', 'timestamptz')
) as described (name, type)
left join pg_catalog.pg_attribute as existing
    on existing.attrelid = class.oid and existing.attname = described.name and not existing.attisdropped
        and existing.atttypid = described.type::regtype and existing.atttypmod = -1 and existing.attgenerated = ''
where class.oid = 'socrata_datasets'::regclass
group by class.oid, class.relkind, class.relhasrules;

-- The server reads the values as they are, so can_copy.sql must have checked the table.
copy socrata_datasets (
    region, domain, id, name, type, description, attribution, attribution_link, category, categories, tags,
    domain_tags, domain_metadata, license, provenance, permalink, link, parent_ids, columns, created_at,
    updated_at, metadata_updated_at, data_updated_at, publication_date, record, unreadable, content_hash,
    retired_at
) from stdin (format binary);

-- Finds the rows that may differ. Under the lock, only these are compared. Equal images (*<>) are equal values and are
-- compared sooner than these, most of all in jsonb. An equal value with another image is only a candidate too many. Two
-- joins instead of a full one, because PostgreSQL can't run that in parallel before version 16. The casts are for columns
-- that an operator has altered, because only images of the same types can be compared.
create temporary table candidates_datasets as
select region, domain, id
from socrata_datasets as stored
left join shadow_datasets as made using (region, domain, id)
where row(
        stored.name::text, stored.type::text, stored.description::text, stored.attribution::text,
        stored.attribution_link::text, stored.category::text, stored.categories::text[], stored.tags::text[],
        stored.domain_tags::text[], stored.domain_metadata::jsonb, stored.license::text,
        stored.provenance::text, stored.permalink::text, stored.link::text, stored.parent_ids::text[],
        stored.columns::jsonb, stored.created_at::timestamptz, stored.updated_at::timestamptz,
        stored.metadata_updated_at::timestamptz, stored.data_updated_at::timestamptz,
        stored.publication_date::timestamptz, stored.record::jsonb, stored.unreadable::text[],
        stored.content_hash::bytea, stored.retired_at::timestamptz
    )::record *<> row(
        made.name, made.type, made.description, made.attribution, made.attribution_link, made.category,
        made.categories, made.tags, made.domain_tags, made.domain_metadata, made.license, made.provenance,
        made.permalink, made.link, made.parent_ids, made.columns, made.created_at, made.updated_at,
        made.metadata_updated_at, made.data_updated_at, made.publication_date, made.record, made.unreadable,
        made.content_hash, made.retired_at
    )::record
union all
select region, domain, id
from shadow_datasets as made
where not exists (select from socrata_datasets as stored where stored.region = made.region and stored.domain = made.domain and stored.id = made.id);

create temporary table differing_datasets on commit drop as
select
    region, domain, id,
    row_number() over (order by region, domain, id) as place,
    case
        when exists (
            select from refused_keys as refused
            where refused.topic = $1 and refused.key = convert_to(concat_ws('/', region, domain, id), 'UTF8')
        ) then 'refused'
        when stored.region is null then 'missing'
        -- The topics lost their beginning, so the correct content of this row is unknown.
        when coalesce(
            greatest(
                (
                    select stats.last_run
                    from socrata_dataset_stats as stats
                    where stats.region = stored.region and stats.domain = stored.domain and stats.id = stored.id
                ),
                (
                    select stats.last_run
                    from shadow_dataset_stats as stats
                    where stats.region = made.region and stats.domain = made.domain and stats.id = made.id
                )
            ),
            0
        ) < (
            select floors.run from floors where floors.topic = $1 and floors.region = stored.region
        ) then 'kept'
        when made.region is null then 'extra'
        else 'different'
    end as kind
from candidates_datasets
left join socrata_datasets as stored using (region, domain, id)
left join shadow_datasets as made using (region, domain, id)
where row(
        stored.name, stored.type, stored.description, stored.attribution, stored.attribution_link,
        stored.category, stored.categories, stored.tags, stored.domain_tags, stored.domain_metadata,
        stored.license, stored.provenance, stored.permalink, stored.link, stored.parent_ids, stored.columns,
        stored.created_at, stored.updated_at, stored.metadata_updated_at, stored.data_updated_at,
        stored.publication_date, stored.record, stored.unreadable, stored.content_hash, stored.retired_at
    ) is distinct from row(
        made.name, made.type, made.description, made.attribution, made.attribution_link, made.category,
        made.categories, made.tags, made.domain_tags, made.domain_metadata, made.license, made.provenance,
        made.permalink, made.link, made.parent_ids, made.columns, made.created_at, made.updated_at,
        made.metadata_updated_at, made.data_updated_at, made.publication_date, made.record, made.unreadable,
        made.content_hash, made.retired_at
    )
    -- A row whose newest record can't be read stays as it is, because compaction removed the record that it came from.
    and not (
        made.region is null
        and exists (
            select from shadow_dead_letters as dead
            where dead.topic = $1 and dead.key = convert_to(concat_ws('/', stored.region, stored.domain, stored.id), 'UTF8')
        )
    );
