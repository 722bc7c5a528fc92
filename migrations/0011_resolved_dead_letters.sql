-- Nobody replays a dead letter that is resolved, so its value is not kept.

update dead_letters
set value = null
where state <> 'open';

comment on column dead_letters.value is 'Its value; null where it has none, and once the dead letter is resolved';
