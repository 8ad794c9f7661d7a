//! The switches: what a registry can do wrong or differently, and for which requests.
//! Says what, not how: `answer` decides the order and `dress` does it.

use std::sync::Mutex;

use bytes::Bytes;

use super::kind::Kind;
use super::lock;
use super::record::RecordedRequest;
use crate::gate::Gate;

/// One deviation from a well-behaved registry.
#[derive(Clone, Debug)]
pub enum Quirk {
    // The connection.
    /// Answers with a TCP reset.
    Reset,
    /// Closes the connection in good order, without an answer.
    HangUp,
    /// Sends nothing before the gate lets it.
    HoldHeaders(Gate),
    /// Sends headers and the first half of the body, then waits at the gate.
    HoldBody(Gate),

    // The whole answer.
    /// This status with an OCI error envelope, whatever was asked.
    Status(u16),
    /// 429 with `TOOMANYREQUESTS` and this `Retry-After`: seconds or an HTTP date.
    TooManyRequests(Option<String>),
    /// Exactly this answer.
    Answer(Answer),
    /// HEAD is answered 405.
    HeadNotSupported,
    /// 400 as soon as an `Authorization` header is there, as signed URLs do.
    RefusesAuthorization,

    // Redirects, after credentials were accepted.
    /// This status with this `Location`; `{path}` (with query), `{repository}`, `{reference}`, `{digest}` and
    /// `{self}` (own base URL) are replaced.
    Redirect(u16, String),
    /// So many 307 to itself, then the answer.
    RedirectHops(usize),
    /// 307 to itself for ever.
    RedirectLoop,

    // Which manifest.
    /// An index asked for without either list type in `Accept` is answered with its amd64 child.
    Amd64ChildWithoutListTypes,
    /// A manifest asked for without `Accept` is answered as schema 1.
    Schema1WithoutAccept,
    /// 404 when `Accept` does not name the media type that is stored.
    StrictAccept,

    // Headers.
    /// No `Docker-Content-Digest`.
    NoContentDigest,
    /// This `Docker-Content-Digest`, whatever the bytes are.
    ContentDigest(String),
    /// `Docker-Content-Digest` is the sha512 of the bytes.
    Sha512ContentDigest,
    /// This `Content-Type`.
    ContentType(String),
    /// No `Content-Type`.
    NoContentType,
    /// This `Date`.
    Date(String),
    /// One more header, instead of those of the same name.
    Header(String, String),
    /// HEAD is answered without `Content-Length`.
    HeadWithoutLength,

    // Bodies of successful answers.
    /// One bit differs from what the digest says.
    CorruptBody,
    /// Other bytes than asked for.
    ReplaceBody(Bytes),
    /// `Content-Length` of the whole, but after so many bytes the connection is closed.
    Truncated(usize),
    /// No `Content-Length`; chunked.
    Chunked,
    /// Padded with spaces, which JSON ignores, to this many bytes.
    PaddedTo(usize),
    /// `Content-Encoding: gzip` when the request accepts it.
    Gzip,
    /// `Content-Encoding: gzip` although nobody asked.
    GzipUnasked,
    /// `Range` is ignored: 200 and everything.
    NoRange,

    // Listings of tags.
    /// No more than so many tags on a page, whatever `n` says.
    TagsPage(usize),
    /// The `Link` of a page that has a next one; `{next}` is `/v2/<repository>/tags/list?n=…&last=…`,
    /// `{query}` its query and `{self}` the own base URL.
    TagsLink(String),
    /// `"tags": null`.
    TagsNull,

    // Referrers.
    /// The referrers API, with so many on a page behind an opaque token, and which filters by itself or does not.
    Referrers {
        /// Descriptors on a page.
        page: usize,
        /// Whether `artifactType` is honoured, and said to be.
        filters: bool,
    },
}

/// A whole answer, for [`Quirk::Answer`].
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// An empty answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A page for people, as captive portals and marketing sites serve.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::status(status)
            .header("Content-Type", "text/html; charset=utf-8")
            .body("<!doctype html><title>Welcome</title><p>Please sign in to the network.")
    }

    /// One more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body; its `Content-Length` is added.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// Which requests a quirk is for. Conditions add up. Without a kind it is every endpoint but `/token`.
#[derive(Clone, Debug, Default)]
pub struct When {
    kind: Option<Kind>,
    method: Option<String>,
    repository: Option<String>,
    reference: Option<String>,
    authorized: Option<bool>,
    remaining: Option<usize>,
}

impl When {
    /// Every request but those for tokens.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests to one endpoint.
    #[must_use]
    pub fn kind(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::default() }
    }

    /// Only GET, only HEAD, …
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only this repository.
    #[must_use]
    pub fn repository(mut self, repository: &str) -> Self {
        self.repository = Some(repository.to_owned());
        self
    }

    /// Only this tag or digest (of a file: what follows `/files/`).
    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Only with (`true`) or only without (`false`) an `Authorization` header.
    #[must_use]
    pub fn authorized(mut self, authorized: bool) -> Self {
        self.authorized = Some(authorized);
        self
    }

    /// Only the next `count` requests that the other conditions match.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.remaining = Some(count);
        self
    }

    fn matches(&self, request: &RecordedRequest) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        self.kind.map_or(request.kind != Kind::Token, |kind| kind == request.kind)
            && is(&self.method, Some(&request.method))
            && is(&self.repository, request.repository.as_deref())
            && is(&self.reference, request.reference.as_deref())
            && self.authorized.is_none_or(|wanted| wanted == request.headers.contains_key("authorization"))
            && self.remaining != Some(0)
    }
}

/// The switches that are on.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Vec<(When, Quirk)>>);

impl Rules {
    pub(super) fn add(&self, when: When, quirk: Quirk) {
        lock(&self.0).push((when, quirk));
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The quirks for this request, in the order in which they were switched on; counts it.
    pub(super) fn applying_to(&self, request: &RecordedRequest) -> Vec<Quirk> {
        let mut quirks = Vec::new();
        for (when, quirk) in lock(&self.0).iter_mut() {
            if when.matches(request) {
                when.remaining = when.remaining.map(|remaining| remaining - 1);
                quirks.push(quirk.clone());
            }
        }
        quirks
    }
}
