create temporary table differing_{name} on commit drop as
select
    {key},
    row_number() over (order by {key}) as place,
    case
        when exists (
            select from refused_keys as refused
            where refused.topic = $1 and refused.key = convert_to(concat_ws('/', {key}), 'UTF8')
        ) then 'refused'
        when stored.region is null then 'missing'
        -- The topics lost their beginning, so the correct content of this row is unknown.
        when {newest_run} < (
            select floors.run from floors where floors.topic = $1 and floors.region = stored.region
        ) then 'kept'
        when made.region is null then 'extra'
        else 'different'
    end as kind
from candidates_{name}
left join socrata_{name} as stored using ({key})
left join shadow_{name} as made using ({key})
where row(
        {stored}
    ) is distinct from row(
        {made}
    )
    -- A row whose newest record can't be read stays as it is, because compaction removed the record that it came from.
    and not (
        made.region is null
        and exists (
            select from shadow_dead_letters as dead
            where dead.topic = $1 and dead.key = convert_to(concat_ws('/', {stored_key}), 'UTF8')
        )
    )
