-- A dead letter of a producer keeps the producer's reason, because it can never be replayed.
update dead_letters
set reason = $2, refused = $3
where id = $1 and state = 'open' and topic not like '%dead-letters'
