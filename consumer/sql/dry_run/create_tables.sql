-- Creates temporary tables with the names of the real ones. Statements without a schema name find the temporary tables
-- first, so a dry run writes only to them, and the end of the transaction drops them. The views read the real tables.
set local idle_in_transaction_session_timeout = 0;

create temporary view pg_temp.stored_datasets as select * from socrata_datasets;
create temporary view pg_temp.stored_dataset_stats as select * from socrata_dataset_stats;
create temporary view pg_temp.stored_domains as select * from socrata_domains;
create temporary view pg_temp.stored_hosts as select * from socrata_hosts;
create temporary view pg_temp.stored_agencies as select * from socrata_agencies;

create temporary table pg_temp.socrata_datasets (like socrata_datasets including constraints) on commit drop;
create temporary table pg_temp.socrata_dataset_stats (like socrata_dataset_stats including constraints) on commit drop;
create temporary table pg_temp.socrata_domains (like socrata_domains including constraints) on commit drop;
create temporary table pg_temp.socrata_hosts (like socrata_hosts including constraints) on commit drop;
create temporary table pg_temp.socrata_agencies (like socrata_agencies including constraints) on commit drop;

alter table pg_temp.socrata_datasets add primary key (region, domain, id);
alter table pg_temp.socrata_dataset_stats add primary key (region, domain, id);
alter table pg_temp.socrata_domains add primary key (region, domain);
alter table pg_temp.socrata_hosts add primary key (region, host);
alter table pg_temp.socrata_agencies add primary key (region, host, agency);
