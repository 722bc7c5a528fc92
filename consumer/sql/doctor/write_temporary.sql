-- Writes about 1 MiB to a temporary table, which is dropped at the end of the transaction.
create temporary table disk_probe on commit drop as
select number from generate_series(1, 30000) as number
