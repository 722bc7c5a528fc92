-- Puts every decision back into the outbox, because the new topic contains none of them.
update verdicts
set published = false
where published
