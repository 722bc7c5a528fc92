create temporary table differing_datasets on commit drop as
select
    region, domain, id,
    row_number() over (order by region, domain, id) as place,
    case
        when exists (
            select from refused_keys as refused
            where refused.topic = $1 and refused.key = convert_to(concat_ws('/', region, domain, id), 'UTF8')
        ) then 'refused'
        when held.region is null then 'missing'
        -- The topics have lost the records that would determine this row.
        when coalesce(
            greatest(
                (
                    select stats.last_run
                    from socrata_dataset_stats as stats
                    where stats.region = held.region and stats.domain = held.domain and stats.id = held.id
                ),
                (
                    select stats.last_run
                    from shadow_dataset_stats as stats
                    where stats.region = made.region and stats.domain = made.domain and stats.id = made.id
                )
            ),
            0
        ) < (
            select floors.run from floors where floors.topic = $1 and floors.region = held.region
        ) then 'kept'
        when made.region is null then 'extra'
        else 'different'
    end as kind
from socrata_datasets as held
full join shadow_datasets as made using (region, domain, id)
where row(
        held.name, held.type, held.description, held.attribution, held.attribution_link, held.category,
        held.categories, held.tags, held.domain_tags, held.domain_metadata, held.license,
        held.provenance, held.permalink, held.link, held.parent_ids, held.columns, held.created_at,
        held.updated_at, held.metadata_updated_at, held.data_updated_at, held.publication_date,
        held.record, held.unreadable, held.content_hash, held.retired_at
    ) is distinct from row(
        made.name, made.type, made.description, made.attribution, made.attribution_link, made.category,
        made.categories, made.tags, made.domain_tags, made.domain_metadata, made.license,
        made.provenance, made.permalink, made.link, made.parent_ids, made.columns, made.created_at,
        made.updated_at, made.metadata_updated_at, made.data_updated_at, made.publication_date,
        made.record, made.unreadable, made.content_hash, made.retired_at
    )
    -- A row whose newest record can't be read stays unchanged, because compaction has removed its previous record.
    and not (
        made.region is null
        and exists (
            select from shadow_dead_letters as dead
            where dead.topic = $1 and dead.key = convert_to(concat_ws('/', held.region, held.domain, held.id), 'UTF8')
        )
    )
