update runs
set state = 'superseded', reason = 'run ' || $2 || ' was accepted; it was held: ' || reason
where region = $1 and run < $2 and state = 'held'
returning run
