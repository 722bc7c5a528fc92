select position, counted_to
from positions
where topic = $1 and partition = $2
for update
