-- The record's value goes: nobody needs it any more, and it may be large.
update dead_letters
set state = 'discarded', settled_at = now(), value = null
where id = any ($1) and state = 'open'
returning id
