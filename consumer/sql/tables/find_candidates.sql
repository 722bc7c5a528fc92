-- Finds the rows that may differ. Under the lock, only these are compared.
create temporary table candidates_{name} as
select {key}
from socrata_{name} as held
full join shadow_{name} as made using ({key})
where row(
        {held}
    ) is distinct from row(
        {made}
    )
