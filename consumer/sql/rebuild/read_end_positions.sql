-- The furthest position of each partition. After a partition was set back, the tables still contain its later records.
select topic, partition, greatest(position, counted_to)
from positions
where topic <> $1
