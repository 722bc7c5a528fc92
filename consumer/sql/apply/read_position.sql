select position, counted_to, records
from positions
where topic = $1 and partition = $2
for update
