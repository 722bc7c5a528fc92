//! The mock server follows the API's rules, misbehaves on demand, and serves a catalog that is the same each time.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod catalogs;
mod faults;
mod forms;
mod gates;
mod program;
mod recordings;
mod rules;
mod synthetic;
mod synthetic_practice;
