-- The server reads the values as they are, so can_copy.sql must have checked the table.
copy socrata_{name} (
    {columns}
) from stdin (format binary)
