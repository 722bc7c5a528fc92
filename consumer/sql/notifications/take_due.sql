-- Takes the notification that is due next. Another consumer, or a later attempt, tries it again only after a time that is longer
-- than a request may take, and that doubles up to an hour.
update notifications
set attempts = attempts + 1,
    next_attempt_at = now() + least(15 * 2 ^ least(attempts, 8), 3600) * interval '1 second'
where id = (
    select id
    from notifications
    where sent_at is null and next_attempt_at <= now()
    order by next_attempt_at, id
    limit 1
    for update skip locked
)
returning id::text as id, payload, created_at, attempts
