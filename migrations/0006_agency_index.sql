-- The agency comes first, so that no index but the primary key begins as the key does. A table that was never
-- analysed tells the planner nothing, and for a look-up by key it took the old one: it read a whole domain for each
-- row of a first crawl, until the server's first analysis.
drop index socrata_datasets_agency;
create index socrata_datasets_agency on socrata_datasets (attribution, domain, region);
