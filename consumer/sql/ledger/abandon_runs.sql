-- Exactly the runs between the previously ended run and this one. An earlier run may still be open because another
-- partition has not reached its end-of-run record yet.
update runs
set state = 'abandoned', reason = 'run ' || $2 || ' started before it ended'
where region = $1 and run < $2 and run > $3 and state = 'open'
returning run
