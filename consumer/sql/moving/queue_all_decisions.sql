-- The new topic has none of them.
update verdicts
set published = false
where published
