-- Unless it was decided anew while the message was on its way.
update verdicts
set published = true
where region = $1 and run = $2 and state = $3 and decided_at = $4
