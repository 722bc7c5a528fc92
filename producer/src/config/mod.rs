//! The configuration of each command, as plain values.

pub mod crawl;
pub mod doctor;
pub mod schedule;
pub mod scope;
pub mod status;

pub use crawl::{CrawlArgs, Rate};
pub use doctor::DoctorArgs;
pub use status::StatusArgs;
