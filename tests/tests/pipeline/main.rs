//! Both programs end to end, on a real Kafka and a real PostgreSQL. One file a behaviour; each test has
//! a database and topics of its own, so they run side by side.

mod arriving;
mod balancing;
mod cassettes;
mod consumer_killed;
mod deciding;
mod dry_run;
mod faithful;
mod faults;
mod fifty_kills;
mod following;
mod holding;
mod last_markers;
mod moved_position;
mod nameless;
mod operator_reset;
mod other_database;
mod outbox;
mod part;
mod producer_killed;
mod rebalancing;
mod record_format;
mod recordings;
mod recrawl;
mod refusals;
mod regions;
mod release_race;
mod retiring;
mod secrets;
mod sharing;
mod since;
mod smaller_pages;
mod status;
mod stopping;
mod takeover;
mod telling;
