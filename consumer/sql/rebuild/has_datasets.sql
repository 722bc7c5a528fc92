-- Whether the table of datasets has rows.
select exists (select from socrata_datasets)
