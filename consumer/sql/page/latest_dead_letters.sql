-- The newest open dead letters.
select id, topic, left(reason, 500) as reason, seen_at
from dead_letters
where state = 'open'
order by id desc
limit $1
