-- A column that is null although the record has a value must be listed in `unreadable`. A time that is listed there is
-- null.
select
    region || '/' || domain || '/' || id as what,
    column_name || case when is_null then ' is null, and the record has a value that `unreadable` does not name'
        else ' has a value, and the record has none that can be read' end as finding
from socrata_datasets
-- Parsed once, because that takes most of the time.
cross join lateral jsonb_to_record(
    case jsonb_typeof(record -> 'resource') when 'object' then record -> 'resource' end
) as said (
    name text, type text, attribution text, "createdAt" text, "updatedAt" text,
    metadata_updated_at text, data_updated_at text, publication_date text
)
cross join lateral (
    values
        ('name', 'resource.name', socrata_datasets.name is null, false, said.name),
        ('type', 'resource.type', socrata_datasets.type is null, false, said.type),
        ('attribution', 'resource.attribution', socrata_datasets.attribution is null, false, said.attribution),
        ('created_at', 'resource.createdAt', created_at is null, true, said."createdAt"),
        ('updated_at', 'resource.updatedAt', updated_at is null, true, said."updatedAt"),
        (
            'metadata_updated_at', 'resource.metadata_updated_at',
            socrata_datasets.metadata_updated_at is null, true, said.metadata_updated_at
        ),
        (
            'data_updated_at', 'resource.data_updated_at',
            socrata_datasets.data_updated_at is null, true, said.data_updated_at
        ),
        (
            'publication_date', 'resource.publication_date',
            socrata_datasets.publication_date is null, true, said.publication_date
        )
) as field (column_name, path, is_null, is_time, said)
where case
    when is_null then field.said is not null and not path = any (unreadable) and agency_name(field.said) is not null
    else field.said is null or (is_time and path = any (unreadable))
end
