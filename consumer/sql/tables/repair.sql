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
from differing_{name} as found
join shadow_{name} as made using ({key})
where found.kind in ('missing', 'different') and found.place between $1 and $2
order by {made_key}
on conflict ({key}) do update
set
    {set}
