-- The furthest position of each partition, and whether it was set back. The tables then still contain its later records.
select topic, partition, greatest(position, counted_to), position < counted_to
from positions
where topic <> $1
