-- Deletes dead letters that were resolved more than $1 seconds ago. The decision about an open run still
-- needs the keys of its discarded assets: the run saw them, so they are not retired.
with due as materialized (
    select
        id,
        state = 'discarded' and counted and topic like '%datasets' and exists (
            select from runs
            where runs.region = dead_letters.region and runs.run = dead_letters.run and runs.state = 'open'
        ) as needed
    from dead_letters
    where state <> 'open' and extract(epoch from now() - settled_at) > $1::double precision
),
pruned as (
    delete from dead_letters
    using due
    where dead_letters.id = due.id and not due.needed
    returning dead_letters.id
)
select
    (select count(*) from pruned) as pruned,
    (select count(*) from due where needed) as needed
