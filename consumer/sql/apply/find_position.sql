select position
from positions
where topic = $1 and partition = $2
