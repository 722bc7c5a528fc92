-- Counts the rows that differ.
select
    'socrata_{name}' as name,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_{name}
