//! What was sent to the fake, request by request, so that tests can assert exactly that.

use std::sync::Mutex;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::watch;

use super::kind::{Kind, Target};
use super::lock;

/// One request as it arrived, recorded before anything is decided about it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Which endpoint.
    pub kind: Kind,
    /// The raw path, nothing decoded.
    pub path: String,
    /// The raw query, without the question mark.
    pub query: Option<String>,
    /// Every header line, in order for equal names.
    pub headers: HeaderMap,
    /// The repository in the path, where the endpoint has one.
    pub repository: Option<String>,
    /// The tag or digest in the path, where the endpoint has one.
    pub reference: Option<String>,
    /// What was posted.
    pub body: Bytes,
}

impl RecordedRequest {
    pub(super) fn of<B>(request: &http::Request<B>) -> Self {
        let Target { kind, repository, reference } = Target::of(request.uri().path());
        Self {
            method: request.method().to_string(),
            kind,
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: request.headers().clone(),
            repository,
            reference,
            body: Bytes::new(),
        }
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of visible characters"))
    }

    /// All values of a header, one per line that was sent.
    #[must_use]
    pub fn header_lines(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("a header of visible characters"))
            .collect()
    }

    /// The names of all headers, lower case and sorted.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Path and query as they were sent.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The decoded values of a field of the form that was posted.
    #[must_use]
    pub fn form_values(&self, key: &str) -> Vec<String> {
        super::query::values(std::str::from_utf8(&self.body).ok(), key)
    }

    /// The decoded values of a query parameter.
    #[must_use]
    pub fn query_values(&self, key: &str) -> Vec<String> {
        super::query::values(self.query.as_deref(), key)
    }
}

/// All requests since the start or since they were last forgotten.
pub(super) struct Records {
    requests: Mutex<Vec<RecordedRequest>>,
    arrivals: watch::Sender<()>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { requests: Mutex::new(Vec::new()), arrivals: watch::Sender::new(()) }
    }

    pub(super) fn add(&self, request: RecordedRequest) {
        lock(&self.requests).push(request);
        self.arrivals.send_replace(());
    }

    pub(super) fn matching(&self, wanted: impl Fn(&RecordedRequest) -> bool) -> Vec<RecordedRequest> {
        lock(&self.requests).iter().filter(|request| wanted(request)).cloned().collect()
    }

    pub(super) fn forget(&self) {
        lock(&self.requests).clear();
    }

    pub(super) async fn arrived(&self, count: usize, wanted: impl Fn(&RecordedRequest) -> bool) {
        let mut arrivals = self.arrivals.subscribe();
        while lock(&self.requests).iter().filter(|request| wanted(request)).count() < count {
            arrivals.changed().await.expect("the registry outlives whoever watches it");
        }
    }
}
