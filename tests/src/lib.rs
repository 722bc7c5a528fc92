//! Used by the tests of both programs: a mock server of the Discovery API that can be set up to
//! misbehave, and an invented catalog to serve from it.

pub mod docs;
pub mod history;
pub mod mock_server;
pub mod oracle;
pub mod synthetic;
pub mod world;
