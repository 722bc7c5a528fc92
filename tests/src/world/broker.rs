//! A Kafka for one test, which the test may stop.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::process;

/// A broker with its own data and port, which it keeps over restarts. It ends when this is
/// dropped, or when the thread that started it ends.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    process: Option<Child>,
}

impl Broker {
    /// Starts one and returns when it is ready.
    ///
    /// # Errors
    /// If it does not start, for example because Java or Maven is missing. `make test` installs them.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// Like [`Broker::start`], with additional settings: lines of its properties file.
    ///
    /// # Errors
    /// Same as [`Broker::start`].
    pub async fn start_with(settings: &str) -> Result<Self> {
        let mut broker = Self { folder: tempfile::tempdir()?, process: None };
        std::fs::write(broker.folder.path().join("extra.properties"), settings)?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Like [`Broker::start_with`], with more listeners: their names in capitals, and their security protocols.
    ///
    /// # Errors
    /// Same as [`Broker::start`].
    pub async fn start_listening(listeners: &[(&str, &str)], settings: &str) -> Result<Self> {
        let mut broker = Self { folder: tempfile::tempdir()?, process: None };
        let own = [("CLIENT", "PLAINTEXT"), ("CONTROLLER", "PLAINTEXT")];
        let all: Vec<(&str, &str)> = own.iter().chain(listeners).copied().collect();
        // All are open at once, so that each gets another port.
        let open = all.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let mut ports = String::new();
        let (mut addresses, mut protocols) = (Vec::new(), Vec::new());
        for ((name, protocol), listener) in all.iter().zip(&open) {
            let address = listener.local_addr()?;
            writeln!(ports, "{}_port={}", port_name(name), address.port())?;
            addresses.push(format!("{name}://{address}"));
            protocols.push(format!("{name}:{protocol}"));
        }
        drop(open);
        // Clients don't connect to the controller, which comes second.
        let advertised: Vec<&str> =
            addresses.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, address)| &**address).collect();
        let settings = format!(
            "listeners={}\nadvertised.listeners={}\nlistener.security.protocol.map={}\n{settings}",
            addresses.join(","),
            advertised.join(","),
            protocols.join(",")
        );
        std::fs::write(broker.folder.path().join("ports"), ports)?;
        std::fs::write(broker.folder.path().join("extra.properties"), settings)?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Its address, even while it is stopped.
    ///
    /// # Errors
    /// If it was never started.
    pub fn address(&self) -> Result<String> {
        self.listener("CLIENT")
    }

    /// The address of a listener.
    ///
    /// # Errors
    /// If it has no listener of that name, or was never started.
    pub fn listener(&self, name: &str) -> Result<String> {
        let ports = std::fs::read_to_string(self.folder.path().join("ports"))?;
        let start = format!("{}_port=", port_name(name));
        let port = ports.lines().find_map(|line| line.strip_prefix(&start));
        Ok(format!("127.0.0.1:{}", port.context("the broker has a port")?))
    }

    /// Starts it again after [`Broker::kill`], and returns when it is ready.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/stack");
        let mut command = Command::new(stack);
        command.arg("broker").arg(self.folder.path());
        if let Some(url) = self.keys_url()? {
            let option = format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}");
            command.env("JDK_JAVA_OPTIONS", option);
        }
        self.process = Some(process::start(command, "Kafka Server started").await.context("the broker")?);
        Ok(())
    }

    /// The URL of the keys for tokens in its settings. Kafka opens it only if a Java property allows that.
    fn keys_url(&self) -> Result<Option<String>> {
        let settings = std::fs::read_to_string(self.folder.path().join("extra.properties"))?;
        let url = settings.lines().find_map(|line| line.strip_prefix("sasl.oauthbearer.jwks.endpoint.url="));
        Ok(url.map(str::to_owned))
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// The system's error.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker runs")?;
        Ok(process.kill().await?)
    }

    /// Suspends it: clients keep their connections and get no answers.
    ///
    /// # Errors
    /// The system's error.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Resumes it after [`Broker::freeze`].
    ///
    /// # Errors
    /// The system's error.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let process = self.process.as_ref().context("the broker runs")?;
        let pid = process.id().context("the broker has ended")?.to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "kill -s {name} {pid} failed");
        Ok(())
    }
}

/// The name of a listener's port in the file of `dev/stack`.
fn port_name(listener: &str) -> String {
    match listener {
        "CLIENT" => "kafka".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}
