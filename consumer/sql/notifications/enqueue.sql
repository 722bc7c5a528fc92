-- Stores a notification, unless there was one about the same.
insert into notifications (event, region, run, payload)
values ($1, $2, $3, $4)
on conflict (event, region, run) do nothing
