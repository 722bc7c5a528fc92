update dead_letters
set state = 'discarded', settled_at = now()
where id = any ($1) and state = 'open'
returning id
