select topic, partition, "offset", key, value, headers
from dead_letters
where id = $1 and state = 'open'
for update
