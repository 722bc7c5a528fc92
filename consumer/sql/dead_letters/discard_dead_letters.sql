-- The record's value is deleted, because it is no longer needed and may be large.
update dead_letters
set state = 'discarded', settled_at = now(), value = null
where id = any ($1) and state = 'open'
returning id
