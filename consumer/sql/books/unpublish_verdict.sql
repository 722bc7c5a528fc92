-- Somebody has put an older word over ours.
update verdicts
set published = false
where region = $1 and run = $2
