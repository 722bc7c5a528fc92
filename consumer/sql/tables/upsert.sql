-- Lists arrive as array literals, because unnest would flatten arrays of arrays.
insert into socrata_{name} (
    {columns}
)
select
    {values}
from unnest(
    {arrays}
) as given (
    {columns}
)
on conflict ({key}) do update
set
    {set}
