//! A client that sends paths as they are, and reads answers whole.

use std::{fmt, time::Duration};

use actix_web::web::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use super::Answer;

/// Far longer than an answer takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A client with HTTP/1.1 that keeps its connections.
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>);

/// A request in the making.
pub(crate) struct ClientRequest<'a> {
    client: &'a Client,
    request: Request<Full<Bytes>>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self(Pool::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) fn request(&self, method: &str, url: impl AsRef<str>) -> ClientRequest<'_> {
        let method = method.parse::<Method>().unwrap();
        let request = Request::builder().method(method).uri(url.as_ref()).body(Full::default()).unwrap();
        ClientRequest { client: self, request }
    }

    pub(crate) fn get(&self, url: impl AsRef<str>) -> ClientRequest<'_> {
        self.request("GET", url)
    }

    pub(crate) fn put(&self, url: impl AsRef<str>) -> ClientRequest<'_> {
        self.request("PUT", url)
    }

    pub(crate) fn delete(&self, url: impl AsRef<str>) -> ClientRequest<'_> {
        self.request("DELETE", url)
    }
}

impl ClientRequest<'_> {
    /// Adds a header, whose bytes need not be ASCII.
    pub(crate) fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        let value = HeaderValue::from_bytes(value.to_string().as_bytes()).unwrap();
        self.request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value);
        self
    }

    pub(crate) fn json(self, body: impl Into<Bytes>) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends the request. `None` if there is no whole answer, because the service is gone.
    pub(crate) async fn try_send(self) -> Option<Answer> {
        let Self { client, request } = self;
        let answer = async {
            let (head, body) = client.0.request(request).await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes().to_vec();
            Some(Answer { status: head.status, headers: head.headers, body })
        };
        timeout(LIMIT, answer).await.expect("an answer in time")
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    pub(crate) async fn status(self) -> u16 {
        self.send().await.status.as_u16()
    }
}
