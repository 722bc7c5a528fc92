-- What `run --notify-url` sends: the outbox of the webhook. The unique key makes each finding one notification, whatever the
-- number of consumers and restarts.
create table notifications (
    id uuid primary key default gen_random_uuid(),
    event text not null,
    region text not null,
    run bigint not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    sent_at timestamptz,
    unique (event, region, run)
);

create index notifications_unsent on notifications (next_attempt_at) where sent_at is null;

comment on table notifications is 'Findings about runs that consumers with --notify-url send to a webhook, each once';
comment on column notifications.id is 'A random id, which the receiver can use to recognize a repetition';
comment on column notifications.event is 'What was found: run_held, run_failed or crawl_missed';
comment on column notifications.region is 'The region of the Discovery API: us or eu';
comment on column notifications.run is 'The run that it is about; for crawl_missed the last accepted full crawl';
comment on column notifications.payload is 'What is sent, besides id and time';
comment on column notifications.created_at is 'When it was found';
comment on column notifications.attempts is 'How many times it was sent, or tried to be';
comment on column notifications.next_attempt_at is 'When it is tried again, if it is not sent by then';
comment on column notifications.sent_at is 'When the receiver accepted it; null until then';
