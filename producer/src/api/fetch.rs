//! One attempt of a request: the body of its answer, or the error.

use bytes::Bytes;
use reqwest::{StatusCode, Url};
use uuid::Uuid;

use crate::api::body::BodyLimits;
use crate::api::byte_order_mark::without_bom;
use crate::api::error::ApiError;
use crate::api::recording::Exchange;
use crate::api::{Discovery, error_response, region_check};

impl Discovery {
    pub(super) async fn fetch(&self, url: &Url, request_id: Uuid) -> Result<Bytes, ApiError> {
        self.counters.add_request();
        let mut exchange = Exchange::new(url, self.buffers.take());
        let failed = self.exchange(url, request_id, &mut exchange).await.err();
        if let Some(recorder) = &self.recorder {
            recorder.write(&exchange, failed.as_ref()).await.map_err(ApiError::Unrecorded)?;
        }
        if let Some(status) = exchange.status().filter(|status| *status != StatusCode::OK) {
            return Err(self.refused(url, status, exchange));
        }
        // Not even a part of another region's answer may be used.
        region_check::check(self.region, exchange.headers(), &self.redactor)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let body = self.redactor.redact(self.buffers.share(exchange.into_body()));
        Ok(body.slice_ref(without_bom(&body)))
    }

    fn refused(&self, url: &Url, status: StatusCode, exchange: Exchange) -> ApiError {
        let request = error_response::Request {
            url,
            sent_token: self.sends_token,
            path_worked: self.working_paths.contains(url.path()),
            redactor: &self.redactor,
        };
        let headers = exchange.headers().clone();
        let body = self.redactor.redact(exchange.into_body().freeze());
        error_response::read(status, &headers, &body, &request)
    }

    async fn exchange(&self, url: &Url, id: Uuid, exchange: &mut Exchange) -> Result<(), ApiError> {
        let request = self.http.get(url.clone()).header("X-Request-Id", id.to_string());
        let response = request.send().await.map_err(ApiError::unanswered)?;
        let is_ok = response.status() == StatusCode::OK;
        let bytes = if is_ok { self.limits.bytes } else { error_response::BYTES };
        exchange
            .read(response, BodyLimits { bytes, ..self.limits }, |bytes| self.counters.add_bytes(bytes))
            .await
    }
}
