//! A browser without a window.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

/// The names of Chromium on Debian, on other systems, and on GitHub's runners.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const LIMIT: Duration = Duration::from_secs(120);

/// A page as Chromium renders it.
#[derive(Debug)]
pub struct Rendered {
    /// The document after it was loaded.
    pub dom: String,
    /// What Chromium logged, such as violations of the Content-Security-Policy.
    pub log: String,
}

/// Renders the page at a URL. Without Chromium it says so on standard error and returns none.
///
/// # Errors
/// If Chromium fails, or if it is missing and `CI` is set. `dev/setup tests` installs it there.
pub async fn render(url: &str) -> Result<Option<Rendered>> {
    let Some(program) = installed().await else {
        ensure!(std::env::var_os("CI").is_none(), "Chromium is missing: run `dev/setup tests`");
        // Not `eprintln!`, which is shown only when a test fails.
        writeln!(std::io::stderr(), "skipped: Chromium is not installed, so no page is rendered")?;
        return Ok(None);
    };
    let profile = tempfile::tempdir()?;
    let mut command = Command::new(program);
    // Its sandbox does not work as root or in a container. The page is our own.
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]);
    command.args(["--disable-background-networking", "--enable-logging=stderr"]);
    command.arg("--dump-dom").arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(LIMIT, command.output()).await.context("Chromium did not end")??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rendered = Rendered { dom: text(&ended.stdout), log: text(&ended.stderr) };
    let is_complete = ended.status.success() && rendered.dom.contains("</html>");
    ensure!(is_complete, "Chromium failed:\n{}\n{}", rendered.dom, rendered.log);
    Ok(Some(rendered))
}

async fn installed() -> Option<&'static str> {
    for program in PROGRAMS {
        let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
        if asked.is_ok_and(|asked| asked.status.success()) {
            return Some(program);
        }
    }
    None
}
