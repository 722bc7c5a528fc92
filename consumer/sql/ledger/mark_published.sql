-- Not if the decision has changed while the message was sent.
update verdicts
set published = true
where region = $1 and run = $2 and verdict = $3
