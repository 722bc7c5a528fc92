select count(*)
from positions
