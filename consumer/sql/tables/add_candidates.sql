-- Adds the keys of records that were read since the candidates were found. Takes an array per column of the key.
insert into candidates_{name} ({key})
select {key}
from unnest({arrays}) as given ({key})
except
select {key}
from candidates_{name}
