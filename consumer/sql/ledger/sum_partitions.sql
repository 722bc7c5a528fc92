-- Topic names are a prefix and a record type, so only the datasets' topic ends in `datasets`.
select
    count(marker_offset) as end_records,
    coalesce(sum(published), 0)::bigint as published,
    coalesce(sum(new + changed + unchanged + older), 0)::bigint as applied,
    coalesce(sum(dead), 0)::bigint as dead,
    coalesce(sum(dead) filter (where topic like '%datasets'), 0)::bigint as dead_datasets,
    coalesce(
        array_agg(
            format(
                '%s[%s] (%s published, %s arrived)',
                topic, partition, coalesce(published, 0), new + changed + unchanged + older + dead
            )
            order by topic collate "C", partition
        ) filter (where published is distinct from new + changed + unchanged + older + dead),
        '{}'
    ) as unbalanced
from run_partitions
where region = $1 and run = $2
