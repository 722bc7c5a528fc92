//! Used by the tests of both programs: worlds with a database and topics of their own, and what the tables should contain.

pub mod certificates;
pub mod docs;
pub mod history;
pub mod oracle;
pub mod world;

pub use discovery_double::{mock_server, synthetic};
