//! A registry on a real loopback socket, with quirks as switches and a record of every request.
//! Knows nothing of what is tested with it.

mod answer;
mod auth;
mod content;
mod draft;
mod dress;
mod gzip;
mod kind;
mod listen;
mod query;
mod quirk;
mod range;
mod record;
mod referrers;
mod tags;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;

use self::auth::Guard;
pub use self::auth::{Auth, TokenFields};
use self::content::Content;
pub use self::kind::Kind;
use self::listen::Listening;
use self::quirk::Rules;
pub use self::quirk::{Answer, Quirk, When};
pub use self::record::RecordedRequest;
use self::record::Records;
use crate::clock::Clock;
use crate::image::{Image, Index};
use crate::port::ReservedPort;

/// A registry that serves what was pushed to it over HTTP/1.1 on 127.0.0.1, on a thread of its own, until dropped.
/// It sends no `Date` unless told ([`FakeRegistry::follow_clock`]), and every answer to HEAD is that to GET
/// without the body.
pub struct FakeRegistry {
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
    /// Holds the port while the registry is stopped.
    reserved: Mutex<Option<ReservedPort>>,
}

/// Bytes that are read of a request's body.
const MAX_BODY: usize = 64 * 1024;

/// What the socket's thread and the test share.
struct Shared {
    address: SocketAddr,
    content: Mutex<Content>,
    rules: Rules,
    guard: Mutex<Guard>,
    records: Records,
    clock: Mutex<Option<Clock>>,
    connections: Arc<AtomicUsize>,
}

impl Shared {
    fn host(&self) -> String {
        self.address.to_string()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl FakeRegistry {
    /// An empty registry that listens on a port of its own.
    #[expect(clippy::unused_async, reason = "callers need not care that starting does not wait")]
    pub async fn start() -> Self {
        Self::start_blocking()
    }

    /// The same for tests without a runtime.
    #[must_use]
    pub fn start_blocking() -> Self {
        let registry = Self::stopped();
        registry.restart();
        registry
    }

    /// A registry that refuses connections until [`FakeRegistry::restart`].
    #[must_use]
    pub fn stopped() -> Self {
        let port = ReservedPort::new();
        let shared = Shared {
            address: port.address(),
            content: Mutex::default(),
            rules: Rules::default(),
            guard: Mutex::default(),
            records: Records::new(),
            clock: Mutex::default(),
            connections: Arc::default(),
        };
        Self { shared: Arc::new(shared), listening: Mutex::new(None), reserved: Mutex::new(Some(port)) }
    }

    /// Closes the socket and all connections; connections are refused from now on. Content, switches and
    /// records stay.
    pub fn stop(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            drop(listening);
            *lock(&self.reserved) = Some(ReservedPort::again(self.shared.address));
        }
    }

    /// Listens again on the same port.
    pub fn restart(&self) {
        if let Some(port) = lock(&self.reserved).take() {
            let shared = Arc::clone(&self.shared);
            let connections = Arc::clone(&shared.connections);
            let answer = move |request: Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move {
                    let mut recorded = RecordedRequest::of(&request);
                    // A body that breaks off is seen as what came of it: nothing.
                    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
                    recorded.body = body.map(Collected::to_bytes).unwrap_or_default();
                    let request = recorded;
                    shared.records.add(request.clone());
                    let draft = answer::answer(&shared, &request).await?;
                    Ok(draft.into_response(request.method == "HEAD"))
                }
            };
            *lock(&self.listening) = Some(Listening::start(port, connections, answer));
        }
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn host_port(&self) -> String {
        self.shared.host()
    }

    /// The socket's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The token endpoint, which is `{realm}` in challenges.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("{}/token", self.shared.url())
    }
}

/// Content.
impl FakeRegistry {
    /// Stores a manifest and points the tag at it; gives its `sha256:…`. Nothing is validated.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        bytes: impl Into<Bytes>,
        media_type: &str,
    ) -> String {
        let digest = self.push_untagged(repository, bytes, media_type);
        self.move_tag(repository, tag, &digest);
        digest
    }

    /// Stores a manifest that is reached by digest alone.
    pub fn push_untagged(&self, repository: &str, bytes: impl Into<Bytes>, media_type: &str) -> String {
        lock(&self.shared.content).push_manifest(repository, bytes.into(), media_type)
    }

    /// Stores a blob; gives its `sha256:…`.
    pub fn push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        lock(&self.shared.content).push_blob(repository, bytes.into())
    }

    /// Stores what `GET /files/<path>` answers, whatever the query; with a query in `path`, only with that one. Manifests and blobs are there already, by their digest.
    pub fn push_file(&self, path: &str, bytes: impl Into<Bytes>, media_type: &str) {
        lock(&self.shared.content).push_file(path, bytes.into(), media_type);
    }

    /// Stores an image with its blobs under a tag; gives the manifest's digest.
    pub fn push_image(&self, repository: &str, tag: &str, image: &Image) -> String {
        self.push_image_untagged(repository, image);
        self.move_tag(repository, tag, &image.digest);
        image.digest.clone()
    }

    /// Stores an index with its children and their blobs under a tag; gives the index's digest.
    pub fn push_index(&self, repository: &str, tag: &str, index: &Index) -> String {
        index.children.iter().for_each(|child| self.push_image_untagged(repository, child));
        self.push_manifest(repository, tag, index.manifest.clone(), index.media_type)
    }

    fn push_image_untagged(&self, repository: &str, image: &Image) {
        for blob in &image.blobs {
            self.push_blob(repository, blob.clone());
        }
        self.push_untagged(repository, image.manifest.clone(), image.media_type);
    }

    /// Points a tag at a digest, whether or not that is here.
    pub fn move_tag(&self, repository: &str, tag: &str, digest: &str) {
        lock(&self.shared.content).tag(repository, tag, digest);
    }

    /// Takes a tag away.
    pub fn delete_tag(&self, repository: &str, tag: &str) {
        lock(&self.shared.content).delete_tag(repository, tag);
    }

    /// Takes a manifest or blob away.
    pub fn delete(&self, repository: &str, digest: &str) {
        lock(&self.shared.content).delete(repository, digest);
    }
}

/// Switches; all may change while the registry runs, and hold for requests that arrive later.
impl FakeRegistry {
    /// Switches a quirk on for every endpoint but `/token`.
    pub fn quirk(&self, quirk: Quirk) {
        self.quirk_when(When::any(), quirk);
    }

    /// Switches a quirk on for some requests.
    pub fn quirk_when(&self, when: When, quirk: Quirk) {
        self.shared.rules.add(when, quirk);
    }

    /// Switches all quirks off; credentials and the clock stay.
    pub fn clear(&self) {
        self.shared.rules.clear();
    }

    /// Demands credentials from now on.
    pub fn require(&self, auth: Auth) {
        lock(&self.shared.guard).auth = Some(auth);
    }

    /// Demands nothing.
    pub fn open(&self) {
        lock(&self.shared.guard).auth = None;
    }

    /// Every token that was issued so far is expired.
    pub fn expire_tokens(&self) {
        lock(&self.shared.guard).expire();
    }

    /// Sends the time of this clock as `Date`.
    pub fn follow_clock(&self, clock: &Clock) {
        *lock(&self.shared.clock) = Some(clock.clone());
    }
}

/// The record.
impl FakeRegistry {
    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records.matching(|_| true)
    }

    /// The requests to one endpoint.
    #[must_use]
    pub fn requests_of(&self, kind: Kind) -> Vec<RecordedRequest> {
        self.shared.records.matching(|request| request.kind == kind)
    }

    /// The last request to one endpoint; there must have been one.
    #[must_use]
    pub fn last(&self, kind: Kind) -> RecordedRequest {
        self.requests_of(kind).pop().unwrap_or_else(|| panic!("no request of kind {kind:?} so far"))
    }

    /// How many requests of this method (`GET`, `HEAD`) went to an endpoint.
    #[must_use]
    pub fn count(&self, method: &str, kind: Kind) -> usize {
        self.shared.records.matching(|request| request.kind == kind && request.method == method).len()
    }

    /// How many requests there were in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.requests().len()
    }

    /// How often a token was asked for.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.requests_of(Kind::Token).len()
    }

    /// How many connections were taken in all, also those that are closed again.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.records.forget();
    }

    /// Returns when at least `count` requests of this method went to an endpoint.
    pub async fn arrived(&self, count: usize, method: &str, kind: Kind) {
        let wanted = |request: &RecordedRequest| request.kind == kind && request.method == method;
        self.shared.records.arrived(count, wanted).await;
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        drop(lock(&self.listening).take());
    }
}

/// A poisoned lock belongs to a test that has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
