select
    count(marker_offset) as markers,
    coalesce(sum(published), 0)::bigint as published,
    coalesce(sum(new + changed + unchanged + older), 0)::bigint as applied,
    coalesce(sum(dead), 0)::bigint as dead,
    coalesce(
        array_agg(topic || '[' || partition || ']' order by topic, partition)
            filter (where published is distinct from new + changed + unchanged + older + dead),
        '{}'
    ) as unbalanced
from run_partitions
where region = $1 and run = $2
