//! A TCP proxy between a program and Kafka. It delays the end of a transaction and delivers it during
//! the next transaction, as a network with a temporary failure may.
//!
//! It parses only the necessary part of Kafka's protocol: frames, request headers, and the addresses of
//! brokers in two kinds of responses, which it replaces so that all connections go through it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The API keys of requests.
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const END_TXN: i16 = 26;
/// From this version on, a tag section follows the response's correlation id.
const FLEXIBLE_END_TXN: i16 = 3;

/// An end of a transaction to delay, and when to deliver it.
#[derive(Clone, Copy, Debug)]
pub struct LateEnd {
    /// How many ends are forwarded first.
    pub skip: u64,
    /// Whether the client waits until its own timeout. If not, its connection is cut at once.
    pub silent: bool,
    /// How many produce requests of the next transaction are answered before it is delivered.
    pub produces: u64,
}

/// A proxy to Kafka. It ends when it is dropped.
pub struct KafkaProxy {
    address: String,
    shared: Arc<Shared>,
    _open: DropGuard,
}

struct Shared {
    server: String,
    /// The broker's address and the proxy's, as they are written in responses.
    advertised: Vec<u8>,
    replaced: Vec<u8>,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    planned: VecDeque<LateEnd>,
    held: Option<Held>,
    /// The broker's error codes for the late ends.
    answers: Vec<i16>,
}

/// A delayed end.
struct Held {
    late: LateEnd,
    /// Whether the client's second attempt was answered, so that its next transaction may begin.
    retried: bool,
    sent: u64,
    answered: u64,
    deliver: bool,
}

/// The requests of a connection by correlation id: API key and version.
type PendingRequests = Mutex<HashMap<i32, (i16, i16)>>;

impl KafkaProxy {
    /// Opens a proxy to `server` (host:port), which must be the address that Kafka advertises.
    pub(super) async fn open_to(server: &str, planned: Vec<LateEnd>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (host, server_port) = server.rsplit_once(':').context("an address is host:port")?;
        let address = |host: &str, port: u16| [host.as_bytes(), &i32::from(port).to_be_bytes()].concat();
        let state = watch::Sender::new(State { planned: planned.into(), ..State::default() });
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            advertised: address(host, server_port.parse()?),
            replaced: address(host, port),
            state,
        });
        let open = CancellationToken::new();
        tokio::spawn(open.clone().run_until_cancelled_owned(serve(
            listener,
            Arc::clone(&shared),
            open.clone(),
        )));
        Ok(Self { address: format!("{host}:{port}"), shared, _open: open.drop_guard() })
    }

    /// Its address, host:port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The broker's responses to late ends, as Kafka's error codes. 0 means that it
    /// ended a transaction that was not its own.
    #[must_use]
    pub fn answers(&self) -> Vec<i16> {
        self.shared.state.borrow().answers.clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, open: CancellationToken) {
    while let Ok((client, _)) = listener.accept().await {
        let forwarded = forward(client, Arc::clone(&shared));
        tokio::spawn(open.clone().run_until_cancelled_owned(forwarded));
    }
}

/// Forwards a connection until it ends or fails.
async fn forward(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(&shared.server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let pending = PendingRequests::default();
    let held = tokio::select! {
        held = forward_requests(&mut from_client, &mut to_server, &pending, &shared) => held,
        _ = forward_answers(&mut from_server, &mut to_client, &pending, &shared) => None,
    };
    let Some((request, silent)) = held else { return };
    let late = deliver_late(request, to_server, from_server, &shared);
    if silent {
        // The client's connection stays open until the client closes it.
        let wait = async { while read_frame(&mut from_client).await.is_ok() {} };
        tokio::join!(late, wait);
        drop(to_client);
    } else {
        drop((from_client, to_client));
        late.await;
    }
}

/// Forwards requests until one must be delayed, and returns that one.
async fn forward_requests(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    pending: &PendingRequests,
    shared: &Shared,
) -> Option<(Vec<u8>, bool)> {
    loop {
        let request = read_frame(client).await.ok()?;
        let (kind, version) = (int16(&request, 0)?, int16(&request, 2)?);
        pending.lock().insert(int32(&request, 4)?, (kind, version));
        if kind == END_TXN
            && let Some(late) = shared.hold()
        {
            return Some((request, late.silent));
        }
        if matches!(kind, PRODUCE | END_TXN) {
            shared.before(kind).await;
        }
        write_frame(server, &request).await.ok()?;
    }
}

async fn forward_answers(
    server: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    pending: &PendingRequests,
    shared: &Shared,
) -> Option<()> {
    loop {
        let mut answer = read_frame(server).await.ok()?;
        let kind = pending.lock().remove(&int32(&answer, 0)?);
        match kind {
            Some((METADATA | FIND_COORDINATOR, _)) => shared.replace_addresses(&mut answer),
            Some((PRODUCE, _)) => shared.update(|held| held.answered += 1),
            Some((END_TXN, version)) if end_code(&answer, version)? == 0 => {
                shared.update(|held| held.retried = true);
            }
            _ => {}
        }
        write_frame(client, &answer).await.ok()?;
    }
}

/// Waits for the point of delivery, delivers, and stores the broker's response.
async fn deliver_late(
    request: Vec<u8>,
    mut server: OwnedWriteHalf,
    mut answers: OwnedReadHalf,
    shared: &Shared,
) {
    let mut state = shared.state.subscribe();
    let due = |state: &State| state.held.as_ref().is_some_and(|held| held.deliver);
    if state.wait_for(due).await.is_err() {
        return;
    }
    let answer = async {
        write_frame(&mut server, &request).await.ok()?;
        end_code(&read_frame(&mut answers).await.ok()?, int16(&request, 2)?)
    };
    let code = answer.await;
    shared.state.send_modify(|state| {
        state.held = None;
        state.answers.extend(code);
    });
}

impl Shared {
    /// Whether this end must be delayed.
    fn hold(&self) -> Option<LateEnd> {
        let mut taken = None;
        self.state.send_modify(|state| {
            if state.held.is_some() {
                return;
            }
            match state.planned.front_mut() {
                Some(late) if late.skip > 0 => late.skip -= 1,
                _ => taken = state.planned.pop_front(),
            }
            state.held =
                taken.map(|late| Held { late, retried: false, sent: 0, answered: 0, deliver: false });
        });
        taken
    }

    /// Returns when a request may be forwarded: after the late end, if its point of delivery has come.
    async fn before(&self, kind: i16) {
        let mut due = false;
        self.state.send_modify(|state| {
            let Some(held) = state.held.as_mut().filter(|held| held.retried) else { return };
            if kind == PRODUCE && held.sent < held.late.produces {
                held.sent += 1;
            } else {
                due = true;
            }
        });
        if !due {
            return;
        }
        let mut state = self.state.subscribe();
        let all_answered = |state: &State| state.held.as_ref().is_none_or(|held| held.answered >= held.sent);
        let _ = state.wait_for(all_answered).await;
        self.update(|held| held.deliver = true);
        let _ = state.wait_for(|state| state.held.is_none()).await;
    }

    fn update(&self, change: impl FnOnce(&mut Held)) {
        self.state.send_modify(|state| {
            if let Some(held) = &mut state.held {
                change(held);
            }
        });
    }

    fn replace_addresses(&self, answer: &mut [u8]) {
        let length = self.advertised.len();
        let found: Vec<usize> = (0..=answer.len().saturating_sub(length))
            .filter(|start| answer[*start..].starts_with(&self.advertised))
            .collect();
        for start in found {
            answer[start..start + length].copy_from_slice(&self.replaced);
        }
    }
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let length = from.read_i32().await?;
    let mut frame = vec![0; usize::try_from(length)?];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<()> {
    to.write_all(&[&i32::try_from(frame.len())?.to_be_bytes()[..], frame].concat()).await?;
    Ok(())
}

/// The error code of the response to an end of a transaction, after the correlation id and the throttle time.
fn end_code(answer: &[u8], version: i16) -> Option<i16> {
    int16(answer, if version >= FLEXIBLE_END_TXN { 9 } else { 8 })
}

fn int16(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn int32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
