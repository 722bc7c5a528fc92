//! What the tests of both programs stand on: a double of the Discovery API that can be told to
//! misbehave, and a catalog of the project's own to serve from it.

pub mod docs;
pub mod double;
pub mod history;
pub mod oracle;
pub mod synthetic;
pub mod world;
