select
    id, topic, partition, "offset", key, value, headers, region, run, reason, refused, state, counted, seen_at,
    settled_at, cluster
from dead_letters
where id = $1
