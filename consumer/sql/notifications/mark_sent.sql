-- The receiver has accepted a notification.
update notifications
set sent_at = now()
where id = $1::uuid
