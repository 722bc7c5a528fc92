with removed as (
    delete from socrata_{name} as stored
    using differing_{name} as found
    where {same_key}
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_{name} (
    {columns}
)
select
    {made}
-- Usually in the order of the keys, so that the indexes grow at their ends: the planner expects few rows, and looks each up. Only
-- keys are sorted, because whole rows would not fit into memory.
from (
    select {key}
    from differing_{name}
    where kind in ('missing', 'different') and place between $1 and $2
    order by place
) as found
join shadow_{name} as made using ({key})
on conflict ({key}) do update
set
    {set}
