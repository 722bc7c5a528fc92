select ordinal
from dead_letters
where topic = $1 and partition = $2 and ordinal > $3 and state = 'open' and cluster = ''
order by ordinal
