create temporary table differing_agencies on commit drop as
select
    region, host, agency,
    row_number() over (order by region, host, agency) as place,
    case
        when exists (
            select from refused_keys as refused
            where refused.topic = $1 and refused.key = convert_to(concat_ws('/', region, host, agency), 'UTF8')
        ) then 'refused'
        when held.region is null then 'missing'
        -- The topics have lost the records that would determine this row.
        when greatest(held.last_run, made.last_run) < (
            select floors.run from floors where floors.topic = $1 and floors.region = held.region
        ) then 'kept'
        when made.region is null then 'extra'
        else 'different'
    end as kind
from socrata_agencies as held
full join shadow_agencies as made using (region, host, agency)
where row(
        held.last_run, held.last_page, held.observed_at
    ) is distinct from row(
        made.last_run, made.last_page, made.observed_at
    )
    -- A row whose newest record can't be read stays unchanged, because compaction has removed its previous record.
    and not (
        made.region is null
        and exists (
            select from shadow_dead_letters as dead
            where dead.topic = $1 and dead.key = convert_to(concat_ws('/', held.region, held.host, held.agency), 'UTF8')
        )
    )
