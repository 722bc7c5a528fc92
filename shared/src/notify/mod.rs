//! `--notify-url` of both programs: the flags, and the request to the webhook.

mod args;
mod webhook;

pub use args::NotifyArgs;
pub use webhook::Webhook;

/// The event of a run that failed. A producer sends the error, and a consumer that a run stays open.
pub const RUN_FAILED: &str = "run_failed";
