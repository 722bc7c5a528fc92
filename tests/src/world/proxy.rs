//! A TCP proxy between a program and PostgreSQL. It can be closed and opened, and it can lose the answer to
//! a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    server: String,
    port: u16,
    commits_to_cut: Arc<AtomicUsize>,
    /// Ends the listener and all connections.
    open: Mutex<CancellationToken>,
}

impl Proxy {
    /// Opens a proxy to `server`, host:port.
    pub(super) async fn open_to(server: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let proxy = Self { server, port, commits_to_cut: Arc::default(), open: Mutex::default() };
        proxy.serve(listener);
        Ok(proxy)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections and refuses new ones.
    pub fn close(&self) {
        self.open.lock().cancel();
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// If another process uses the port meanwhile.
    pub async fn open(&self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        *self.open.lock() = CancellationToken::new();
        self.serve(listener);
        Ok(())
    }

    /// Forwards the next commits and cuts each connection before the answer.
    pub fn cut_commits(&self, count: usize) {
        self.commits_to_cut.store(count, Ordering::SeqCst);
    }

    /// How many of them have not come yet.
    #[must_use]
    pub fn commits_to_cut(&self) -> usize {
        self.commits_to_cut.load(Ordering::SeqCst)
    }

    fn serve(&self, listener: TcpListener) {
        let (open, server) = (self.open.lock().clone(), self.server.clone());
        let commits = Arc::clone(&self.commits_to_cut);
        tokio::spawn(open.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let forwarded = forward(client, server.clone(), Arc::clone(&commits));
                tokio::spawn(open.clone().run_until_cancelled_owned(forwarded));
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

/// Forwards a connection until it ends or fails.
async fn forward(client: TcpStream, server: String, commits: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async move {
        let copied = copy(&mut from_server, &mut to_client).await;
        (copied, from_server)
    };
    let requests = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            if is_commit(&buffer[..length]) && take_one(&commits) {
                return Some((to_server, buffer[..length].to_vec()));
            }
            if to_server.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        None
    };
    let commit = tokio::select! {
        commit = requests => commit,
        _ = answers => None,
    };
    // The way back is already closed, so the answer is lost. The server must not lose the commit.
    if let Some((mut to_server, request)) = commit {
        let _ = to_server.write_all(&request).await;
        let _ = to_server.shutdown().await;
    }
}

fn is_commit(request: &[u8]) -> bool {
    request.windows(b"COMMIT".len()).any(|word| word == b"COMMIT")
}

fn take_one(commits: &AtomicUsize) -> bool {
    commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}
