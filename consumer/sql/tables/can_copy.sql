-- Whether a binary COPY does the same as an insert. It sends no types, so the columns must have exactly these; it ignores
-- rules, and fails where policies restrict the rows.

-- A reader's lock keeps the table as it is until the transaction ends. Unlike LOCK, it needs no privilege on the table as a
-- whole.
select from socrata_{name} limit 0;

-- The client reads no messages while it sends the data. Many warnings of a trigger would block both sides for ever.
set local client_min_messages = error;

select class.relkind = 'r' and not class.relhasrules and not row_security_active(class.oid)
    and bool_and(existing.attname is not null) as can_copy
from pg_catalog.pg_class as class
cross join (
    values
    {described}
) as described (name, type)
left join pg_catalog.pg_attribute as existing
    on existing.attrelid = class.oid and existing.attname = described.name and not existing.attisdropped
        and existing.atttypid = described.type::regtype and existing.atttypmod = -1 and existing.attgenerated = ''
where class.oid = 'socrata_{name}'::regclass
group by class.oid, class.relkind, class.relhasrules
