select
    id, topic, partition, "offset", key, length(value) as value_bytes, headers, region, run, reason, state,
    counted, seen_at, settled_at, cluster
from dead_letters
where ($4 or state = 'open')
    and (cardinality($1::bigint[]) = 0 or id = any ($1))
    and ($2::text is null or region = $2)
    and ($3::bigint is null or run = $3)
order by id
