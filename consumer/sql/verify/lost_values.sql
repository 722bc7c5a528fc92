-- A value that the record contains and that is null here must be listed in `unreadable`. A time that is listed there is
-- null.
select
    region || '/' || domain || '/' || id as what,
    column_name || case when is_null then ' is null, but the record has a value that `unreadable` does not list'
        else ' has a value, but the record has none that can be read' end as finding
from socrata_datasets
-- Parsed once, because parsing takes most of the time.
cross join lateral jsonb_to_record(
    case jsonb_typeof(record -> 'resource') when 'object' then record -> 'resource' end
) as resource (
    name text, type text, attribution text, "createdAt" text, "updatedAt" text,
    metadata_updated_at text, data_updated_at text, publication_date text
)
cross join lateral (
    values
        ('name', 'resource.name', socrata_datasets.name is null, false, resource.name),
        ('type', 'resource.type', socrata_datasets.type is null, false, resource.type),
        ('attribution', 'resource.attribution', socrata_datasets.attribution is null, false, resource.attribution),
        ('created_at', 'resource.createdAt', created_at is null, true, resource."createdAt"),
        ('updated_at', 'resource.updatedAt', updated_at is null, true, resource."updatedAt"),
        (
            'metadata_updated_at', 'resource.metadata_updated_at',
            socrata_datasets.metadata_updated_at is null, true, resource.metadata_updated_at
        ),
        (
            'data_updated_at', 'resource.data_updated_at',
            socrata_datasets.data_updated_at is null, true, resource.data_updated_at
        ),
        (
            'publication_date', 'resource.publication_date',
            socrata_datasets.publication_date is null, true, resource.publication_date
        )
) as field (column_name, path, is_null, is_time, value)
where case
    when is_null then field.value is not null and not path = any (unreadable) and agency_name(field.value) is not null
    else field.value is null or (is_time and path = any (unreadable))
end
