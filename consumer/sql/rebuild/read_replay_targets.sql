-- How far the tables have ever been: where a partition was set back, its records are still in them.
select topic, partition, greatest(position, counted_to)
from positions
where topic <> $1
