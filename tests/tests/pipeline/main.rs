//! Both programs end to end, on a real Kafka and a real PostgreSQL. One file a behaviour; each test has
//! a database and topics of its own, so they run side by side.

mod arriving;
mod consumer_killed;
mod dry_run;
mod faithful;
mod faults;
mod last_markers;
mod part;
mod producer_killed;
mod record_format;
mod recordings;
mod recrawl;
mod refusals;
mod regions;
mod sharing;
mod since;
mod stopping;
mod takeover;
