-- Copies only what decides the effect. The lateral join with a limit makes one index lookup per key.
insert into socrata_{name} ({columns})
select
    {found}
from unnest({arrays}) as given ({key})
cross join lateral (
    select {columns}
    from stored_{name} as stored
    where {same_key}
    limit 1
) as found
on conflict do nothing
