-- The highest position that each partition has had: after a reset the tables still contain the later records.
select topic, partition, greatest(position, counted_to)
from positions
where topic <> $1
