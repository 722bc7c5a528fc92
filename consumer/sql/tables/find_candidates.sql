-- Finds the rows that may differ. Under the lock, only these are compared. Equal images (*<>) are equal values and are
-- compared sooner than these, most of all in jsonb. An equal value with another image is only a candidate too many. Two
-- joins instead of a full one, because PostgreSQL can't run that in parallel before version 16. The casts are for columns
-- that an operator has altered, because only images of the same types can be compared.
create temporary table candidates_{name} as
select {key}
from socrata_{name} as stored
left join shadow_{name} as made using ({key})
where row(
        {stored}
    )::record *<> row(
        {made}
    )::record
union all
select {key}
from shadow_{name} as made
where not exists (select from socrata_{name} as stored where {same_key})
