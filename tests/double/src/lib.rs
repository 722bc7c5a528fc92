//! A mock server of the Discovery API, for tests and the demo. It follows the API's rules and can be set up to misbehave. An
//! invented catalog to serve from it is beside it.

pub(crate) mod draw;
pub mod mock_server;
pub mod synthetic;
