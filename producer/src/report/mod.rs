//! What people see of a crawl: bars or lines while it runs, a summary at its end, and `status` at any time.

pub mod status;

pub(crate) mod missed;
pub(crate) mod progress;
pub(crate) mod scope;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod watch;
