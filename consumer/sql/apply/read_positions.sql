select topic, partition, position
from positions
where topic = any ($1)
