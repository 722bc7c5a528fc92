//! Both programs end to end, on a real Kafka and a real PostgreSQL. One file a behaviour; each test has
//! a database and topics of its own, so they run side by side.

mod arriving;
mod cassettes;
mod consumer_killed;
mod dry_run;
mod faithful;
mod faults;
mod fifty_kills;
mod last_markers;
mod moved_position;
mod nameless;
mod operator_reset;
mod other_database;
mod part;
mod producer_killed;
mod rebalancing;
mod rebuild_anew;
mod rebuild_beside;
mod rebuild_killed;
mod record_format;
mod recordings;
mod recrawl;
mod refusals;
mod regions;
mod secrets;
mod sharing;
mod since;
mod smaller_pages;
mod status;
mod stopping;
mod takeover;
mod telling;
mod verify_topics;
