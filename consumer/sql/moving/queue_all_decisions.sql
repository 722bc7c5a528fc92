-- Puts all decisions into the outbox, because the new topic is empty.
update verdicts
set published = false
where published
