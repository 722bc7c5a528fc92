-- Whether there is a table of datasets.
select to_regclass('socrata_datasets') is not null
