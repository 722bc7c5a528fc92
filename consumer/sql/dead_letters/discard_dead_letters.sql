-- Marks open dead letters as discarded. The value is deleted, because it may be large and is no longer needed.
update dead_letters
set state = 'discarded', settled_at = now(), value = null
where id = any ($1) and state = 'open'
returning id
