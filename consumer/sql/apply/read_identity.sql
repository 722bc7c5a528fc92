select identity::text
from installation
