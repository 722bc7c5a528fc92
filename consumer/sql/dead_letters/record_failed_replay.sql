-- Stores why a replay failed. A dead letter of a producer can't be replayed, so it keeps its own reason.
update dead_letters
set reason = $2, refused = $3
where id = $1 and state = 'open' and topic not like '%dead-letters'
