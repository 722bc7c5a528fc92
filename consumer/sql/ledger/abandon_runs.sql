-- Exactly the runs between the one that ended before and this one. A run below may still be open here
-- only because another partition has not got to its marker yet.
update runs
set state = 'abandoned', reason = 'run ' || $2 || ' was begun before it ended'
where region = $1 and run < $2 and run > $3 and state = 'open'
returning run
