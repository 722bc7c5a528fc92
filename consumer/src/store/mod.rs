//! PostgreSQL: connections, migrations, and everything that a batch's transaction writes.

pub(crate) mod answer_limit;
pub(crate) mod apply;
pub(crate) mod binding;
pub(crate) mod copy_id;
pub(crate) mod database;
pub(crate) mod db_error;
pub(crate) mod dead_letters;
pub(crate) mod figures;
pub(crate) mod ledger;
pub(crate) mod notifications;
pub(crate) mod outage;
pub(crate) mod outbox;
pub(crate) mod positions;
pub(crate) mod published_decisions;
pub(crate) mod retry;
pub(crate) mod rows;
pub(crate) mod schema_lock;
pub(crate) mod tables;
