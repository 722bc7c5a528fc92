-- A producer's letter keeps its producer's reason: it can't be replayed, whatever is tried.
update dead_letters
set reason = $2, refused = $3
where id = $1 and state = 'open' and topic not like '%dead-letters'
