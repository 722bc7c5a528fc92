//! A double of the Discovery API for tests and the demo: a mock server that follows the API's rules and can be set up to
//! misbehave, and an invented catalog to serve from it.

pub(crate) mod draw;
pub mod mock_server;
pub mod synthetic;
