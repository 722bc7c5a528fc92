//! The configuration of each command, as plain values.

pub mod api;
pub mod crawl;
pub mod doctor;
pub mod rate_limit;
pub mod schedule;
pub mod scope;
pub mod status;

pub use crawl::CrawlArgs;
pub use doctor::DoctorArgs;
pub use rate_limit::RateLimit;
pub use status::StatusArgs;
