//! Sends a request at the configured rate, and retries it while that may help.

use std::time::Duration;

use bytes::Bytes;
use catalog_shared::events;
use reqwest::Url;
use tokio::time::sleep;
use tracing::Instrument;
use uuid::Uuid;

use crate::api::Discovery;
use crate::api::error::{ApiError, Failed, Retries};
use crate::api::retry::Retry;
use crate::progress::counters::Waited;

impl Discovery {
    /// Sends a request until its answer is readable, a retry can't help, or the time budget is used up.
    pub(super) async fn send<T>(
        &self,
        url: Url,
        can_shrink: bool,
        read: impl Fn(&Bytes) -> Result<T, ApiError>,
    ) -> Result<T, Failed> {
        let mut retry = None;
        let mut incomplete = 0;
        loop {
            self.counters.add_waits(self.rate_limiter.ready().await);
            let request_id = Uuid::new_v4();
            let span = tracing::debug_span!("request", %request_id);
            let answer = self.fetch(&url, request_id).instrument(span).await.and_then(|body| read(&body));
            self.counters.add_outcome(answer.as_ref().err().map(ApiError::cause));
            let error = match answer {
                Ok(answer) => {
                    self.working_paths.insert(url.path());
                    return Ok(answer);
                }
                Err(error) => error,
            };
            incomplete += u32::from(error.incomplete_head().is_some());
            if can_shrink && incomplete > 0 {
                self.counters.add_retry(error.cause(), Duration::ZERO);
                tracing::warn!(event = events::PAGE_SIZE_REDUCED, %request_id, %error, "incomplete response, requesting a smaller page");
                return Err(Failed { request_id, spent: None, incomplete, error });
            }
            // The budget starts at the first error, so the queue before the first attempt does not count.
            let retry = retry.get_or_insert_with(|| Retry::new(self.retry_for));
            let Some(wait) = retry.after(&error) else {
                let spent = (error.retries() == Retries::UntilBudget).then_some(self.retry_for);
                return Err(Failed { request_id, spent, incomplete, error });
            };
            self.counters.add_retry(error.cause(), wait);
            let throttled = error.is_throttled();
            let error = anyhow::Error::from(error);
            tracing::warn!(event = events::REQUEST_RETRIED, %request_id, error = format!("{error:#}"), ?wait, "request failed, retrying");
            self.pause(throttled, wait).await;
        }
    }

    /// Pauses all lanes if the API throttles this client, otherwise only the caller.
    async fn pause(&self, throttled: bool, wait: Duration) {
        if throttled {
            self.rate_limiter.pause(wait);
        } else {
            sleep(wait).await;
            self.counters.add_waits(Waited { paused: wait, ..Waited::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;
    use crate::api::PageRequest;
    use crate::api::error::Incomplete;
    use crate::config::crawl::tests::parse;
    use crate::model::page::Page;

    fn discovery(flags: &[&str]) -> Discovery {
        let args = parse(&[&["--rate", "none"], flags].concat());
        Discovery::new(&args, args.api.url().unwrap(), Arc::default()).unwrap()
    }

    #[tokio::test]
    async fn an_unreachable_host_does_not_cause_smaller_pages() {
        // The backlog is full with one connection; the system leaves further ones unanswered.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = tokio::net::TcpStream::connect(address).await.unwrap();
        let url = format!("http://{address}/");
        let flags = ["--api-url", &url, "--timeout", "1s", "--retry-for", "0s"];
        let request = PageRequest { size: 1_000, can_shrink: true, leniently: false };
        let failed = discovery(&flags).page("", request, |_| Ok(())).await.unwrap_err();
        assert!(matches!(failed.error, ApiError::Transport(_)), "{:?}", failed.error);
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_pauses_all_lanes_and_other_errors_only_one() {
        const WAIT: Duration = Duration::from_secs(30);
        let (us, start) = (discovery(&[]), Instant::now());
        let other_lane = async {
            us.rate_limiter.ready().await;
            start.elapsed()
        };
        let (waited, ()) = tokio::join!(other_lane, us.pause(false, WAIT));
        assert_eq!((waited, start.elapsed() >= WAIT), (Duration::ZERO, true));

        let start = Instant::now();
        us.pause(true, WAIT).await;
        us.rate_limiter.ready().await;
        assert!(start.elapsed() >= WAIT);
    }

    #[tokio::test]
    async fn an_incomplete_answer_of_another_region_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
            let cut_off = b"HTTP/1.1 200 OK\r\nX-Socrata-Region: aws-eu-1\r\nContent-Length: 100\r\n\r\n{";
            socket.write_all(cut_off).await.unwrap();
        };
        let us = discovery(&["--api-url", &url, "--retry-for", "0s"]);
        let (page, ()) = tokio::join!(
            us.page("", PageRequest { size: 9, can_shrink: true, leniently: false }, |_| Ok(())),
            answer
        );
        assert!(matches!(page.unwrap_err().error, ApiError::OtherRegion(_)));
    }

    const PAGE: &str = r#"{"results":[{"resource":{"id":"aaaa-2222"}},{"resource":{"id":"aaaa-2223"}}]}"#;
    const REQUEST: PageRequest = PageRequest { size: 9, can_shrink: false, leniently: false };

    /// Accepts the next connection and reads its request.
    async fn accept(listener: &TcpListener) -> TcpStream {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
        socket
    }

    /// Requests pages of a server that answers with these heads and bodies in turn.
    async fn answered(flags: &[&str], answers: &[(&str, &[u8])], pages: usize) -> Vec<Result<Page, Failed>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let discovery = discovery(&[&["--api-url", &url], flags].concat());
        let requests = async {
            let mut all = Vec::new();
            for _ in 0..pages {
                all.push(discovery.page("", REQUEST, |_| Ok(())).await);
            }
            all
        };
        let server = async {
            for (head, body) in answers {
                let mut socket = accept(&listener).await;
                let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
                socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            }
            std::future::pending().await
        };
        tokio::select! {
            all = requests => all,
            () = server => unreachable!(),
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_gzip_body_of_several_members_is_read_completely() {
        let (one, other) = PAGE.as_bytes().split_at(30);
        let answer = [("200 OK\r\nContent-Encoding: gzip", &*[gzip(one), gzip(other)].concat())];
        let pages = answered(&["--retry-for", "0s"], &answer, 1).await;
        assert_eq!(pages[0].as_ref().unwrap().objects.len(), 2);
        let limit = (PAGE.len() - 1).to_string();
        let pages = answered(&["--retry-for", "0s", "--max-page-bytes", &limit], &answer, 1).await;
        assert!(matches!(incomplete(&pages[0].as_ref().unwrap_err().error), Incomplete::TooLarge(_)));
    }

    fn incomplete(error: &ApiError) -> Incomplete {
        match error {
            ApiError::Incomplete { reason, .. } => *reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_skipped() {
        let marked = format!("\u{feff}{PAGE}");
        let pages = answered(&["--retry-for", "0s"], &[("200 OK", marked.as_bytes())], 1).await;
        assert_eq!(pages[0].as_ref().unwrap().objects[0].raw, r#"{"resource":{"id":"aaaa-2222"}}"#);
        // The start of a truncated answer.
        let cut_off = ("200 OK\r\nContent-Length: 999", &marked.as_bytes()[..marked.len() - 3]);
        let pages = answered(&["--retry-for", "0s"], &[cut_off], 1).await;
        let head = pages[0].as_ref().unwrap_err().incomplete_head().unwrap();
        assert!(head.starts_with(b"{"), "{head:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let us = discovery(&["--api-url", &url, "--retry-for", "0s"]);
        let trickle = async {
            let mut socket = accept(&listener).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n").await.unwrap();
            // Never silent for as long as --timeout, and longer than an hour.
            for _ in 0..5_000 {
                sleep(Duration::from_secs(1)).await;
                if socket.write_all(b" ").await.is_err() {
                    return;
                }
            }
        };
        let (page, ()) = tokio::join!(us.page("", REQUEST, |_| Ok(())), trickle);
        let error = page.unwrap_err().error;
        assert!(matches!(incomplete(&error), Incomplete::Slow { .. }), "{error:?}");
        assert_eq!(error.to_string(), "the response was too slow: fewer than 262144 bytes in 60 s");
        assert_eq!(error.retries(), Retries::UntilBudget);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateways_refusal_is_retried_if_the_path_has_worked() {
        let (good, html) = (("200 OK", PAGE.as_bytes()), &b"<html>Access denied</html>"[..]);
        for refusal in ["403 Forbidden", "404 Not Found", "302 Found\r\nLocation: /busy"] {
            let pages = answered(&[], &[good, (refusal, html), (refusal, html), good], 2).await;
            assert!(pages.iter().all(Result::is_ok), "{pages:?}");
            let pages = answered(&[], &[(refusal, html)], 1).await;
            assert!(pages[0].as_ref().unwrap_err().error.to_string().starts_with("a gateway answered"));
            // The API's own refusal of a path that has worked.
            let own = br#"{"code":"permission_denied","error":true,"message":"no"}"#;
            let pages = answered(&[], &[good, ("403 Forbidden", own)], 2).await;
            assert!(pages[1].as_ref().unwrap_err().to_string().ends_with("failed"));
        }
    }

    #[tokio::test]
    async fn an_error_mentions_the_token_only_if_one_was_sent() {
        let message = async |flags: &[&str]| {
            let own = br#"{"code":"permission_denied","error":true,"message":"no"}"#;
            answered(flags, &[("403 Forbidden", own)], 1).await.remove(0).unwrap_err().error.to_string()
        };
        assert_eq!(message(&["--app-token", ""]).await, "the API answered 403: permission_denied: no");
        assert!(message(&["--app-token", "wrong"]).await.contains("check SOCRATA_APP_TOKEN"));
    }
}
