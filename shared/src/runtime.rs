//! Runs a program to its end.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

/// How long the end of the program waits for its tasks, which are cancelled at their next await.
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs a program until it has its exit code. Requests to Kafka on other threads that are still in progress are left behind, because
/// librdkafka can't cancel them, and the end of the runtime would wait for each. Whatever must complete is awaited by `program`.
#[must_use]
pub fn run(program: impl Future<Output = ExitCode>) -> ExitCode {
    // A request that is left behind may use OpenSSL's data, so the end of the process must not free it. See `outage::probe`.
    openssl::init();
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: can't start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(program);
    runtime.shutdown_timeout(END_TIMEOUT);
    code
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::spawn_blocking;

    use super::*;

    #[test]
    fn a_request_in_progress_does_not_delay_the_end() {
        let (release, request) = mpsc::channel::<()>();
        let code = run(async move {
            drop(spawn_blocking(move || request.recv()));
            ExitCode::from(3)
        });
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
        drop(release);
    }
}
