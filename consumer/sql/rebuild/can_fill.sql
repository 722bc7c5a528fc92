-- Whether the rows of an empty table are all that a rebuild writes: the floors of moved tables keep rows out, and refused
-- records too.
select not exists (select from run_floors)
    and not exists (select from dead_letters where refused and state <> 'replayed')
