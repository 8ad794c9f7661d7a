//! From a request to the handler of its path, and the counting of every answer.
//!
//! One function reads top to bottom as the order of `docs/request-handling.md`. Decides nothing
//! about tags.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use oci::{ManifestSelector, Name, Route, RouteError, Tag};
use tracing::Instrument as _;

use super::body::{Body, full};
use super::untaken::Share;
use super::{admission, client, pages, request_id, respond};
use crate::app::App;
use crate::config::BlobMode;
use crate::error::Error;
use crate::health::Told;
use crate::log_api::At;
use crate::policy::Action;
use crate::resolve::{self, Ask, Served, by_digest};
use crate::telemetry::metrics::{Kind, Outcome};
use crate::{blobs, collector, evidence, health, history, log_api, referrers, tags_list};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is counted of one answer.
struct Seen<'a> {
    kind: Kind,
    upstream: &'a str,
    outcome: Option<Outcome>,
    /// What counts of a blob, taken before upstream was asked for it.
    share: Option<Arc<Share>>,
}

/// Answers any request; a defect in a handler becomes a 500 and a count.
pub(crate) async fn handle<B>(app: Arc<App>, request: Request<B>, peer: IpAddr) -> Response<Body>
where
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let client = client::address(&app.config.trusted_proxies, peer, &parts.headers);
    let mut seen = Seen { kind: Kind::Other, upstream: "none", outcome: None, share: None };
    let id = app.request_ids.next();
    let span = tracing::info_span!("request", %id, method = %parts.method, path = parts.uri.path());
    let answer = async {
        if parts.method == Method::POST && parts.uri.path() == "/log/cosignature" {
            seen.kind = Kind::Log;
            return match admission::admit(&app, &parts, client).await {
                Ok(()) => collector::collect(&app, body).await,
                Err(error) => plain(&app, Err(error)),
            };
        }
        dispatch(&app, &parts, client, &mut seen).await
    };
    let answer = AssertUnwindSafe(answer).catch_unwind().instrument(span).await;
    let response = answer.unwrap_or_else(|_panic| {
        app.metrics.panicked();
        tracing::error!(%id, path = parts.uri.path(), "a handler panicked");
        respond::error(&app, &Error::Internal)
    });
    let mut response = if admission::is_probe(parts.uri.path()) {
        response
    } else {
        app.untaken.count(client, response, seen.share.take()).unwrap_or_else(|error| {
            app.metrics.turned_away("untaken");
            refusal(&app, parts.uri.path(), error)
        })
    };
    if admission::is_private(&app, parts.uri.path()) {
        respond::keep_private(response.headers_mut());
    }
    let outcome = seen.outcome.unwrap_or_else(|| outcome(response.status()));
    app.metrics.answered(seen.upstream, seen.kind, outcome, started.elapsed());
    response.headers_mut().insert(REQUEST_ID, request_id::header(&id));
    response
}

/// The listener of `metrics_listen`: metrics and probes, nothing else.
pub(crate) async fn metrics_only<B>(app: Arc<App>, request: Request<B>) -> Response<Body> {
    match request.uri().path() {
        "/metrics" => health::metrics(&app),
        "/livez" => health::live(),
        "/readyz" => health::ready(&app, Told::Operators),
        path => plain(&app, Err(Error::NotFound { what: path.to_owned() })),
    }
}

async fn dispatch<'a>(
    app: &'a Arc<App>,
    parts: &http::request::Parts,
    client: IpAddr,
    seen: &mut Seen<'a>,
) -> Response<Body> {
    let path = parts.uri.path();
    if is_registry(path) {
        let answer = registry(app, parts, client, seen).await;
        let mut response = answer.unwrap_or_else(|error| {
            if matches!(error, Error::Moved(_)) {
                seen.outcome = Some(Outcome::Refused);
            }
            respond::error(app, &error)
        });
        respond::registry_headers(response.headers_mut());
        if parts.method == Method::HEAD {
            *response.body_mut() = full("");
        }
        return response;
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return respond::error(app, &Error::Route(RouteError::MethodNotAllowed));
    }
    if has_body(&parts.headers) {
        return respond::error(app, &Error::RequestBody);
    }
    let mut response = match (admission::admit(app, parts, client).await, path) {
        (Err(error), _) => plain(app, Err(error)),
        (Ok(()), "/livez") => health::live(),
        (Ok(()), "/readyz") => health::ready(app, Told::Strangers),
        (Ok(()), "/metrics") if app.config.metrics_listen.is_none() => health::metrics(app),
        (Ok(()), _) => public(app, parts, seen).await,
    };
    if parts.method == Method::HEAD {
        *response.body_mut() = full("");
    }
    response
}

fn is_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// In the form of the part of the service that was asked.
fn refusal(app: &App, path: &str, error: Error) -> Response<Body> {
    if !is_registry(path) {
        return plain(app, Err(error));
    }
    let mut response = respond::error(app, &error);
    respond::registry_headers(response.headers_mut());
    response
}

/// `/v2/…`
async fn registry<'a>(
    app: &'a Arc<App>,
    parts: &http::request::Parts,
    client: IpAddr,
    seen: &mut Seen<'a>,
) -> Result<Response<Body>, Error> {
    let method = &parts.method;
    if has_body(&parts.headers) && (method == Method::GET || method == Method::HEAD) {
        return Err(Error::RequestBody);
    }
    admission::admit(app, parts, client).await?;
    let parsed = oci::Request::parse(method.as_str(), parts.uri.path(), parts.uri.query())?;
    let mut label = |kind, name: Option<&Name>| {
        seen.kind = kind;
        let Some(name) = name else { return Ok(()) };
        seen.upstream = app.upstream.label(name.host());
        admission::listed(app, name)
    };
    let mut response = match parsed.route {
        Route::Ping => {
            label(Kind::Ping, None)?;
            ping()
        }
        Route::Catalog => return Err(Error::Unsupported { what: "_catalog" }),
        Route::Manifest { name, selector: ManifestSelector::Tag(tag) } => {
            label(Kind::Tag, Some(&name))?;
            let decision = app.config.policy.decide(&name, &tag);
            let served = resolve::tag(app, Ask { name, tag, decision, client }).await?;
            seen.outcome = Some(match &served {
                served if served.first_seen => Outcome::FirstSeen,
                served if served.warning.is_some() => Outcome::Warned,
                _ => Outcome::Ok,
            });
            manifest(app, method, &parts.headers, &served)
        }
        Route::Manifest { name, selector: ManifestSelector::Digest(digest) } => {
            label(Kind::Digest, Some(&name))?;
            allowed(app, &name)?;
            let served = by_digest::manifest(app, &name, digest).await?;
            manifest(app, method, &parts.headers, &served)
        }
        Route::Blob { name, digest } => {
            label(Kind::Blob, Some(&name))?;
            allowed(app, &name)?;
            if app.config.blobs == BlobMode::Stream && method == Method::GET {
                let share = app.untaken.blob(client);
                seen.share = Some(share.inspect_err(|_| app.metrics.turned_away("untaken"))?);
            }
            blobs::blob(app, method, &parts.headers, &name, digest).await?
        }
        Route::TagsList { name, query } => {
            label(Kind::Tags, Some(&name))?;
            allowed(app, &name)?;
            let namespace = parsed.namespace.as_ref();
            tags_list::page(app, method, &name, &parsed.requested_name, namespace, &query).await?
        }
        Route::Referrers { name, digest, artifact_type } => {
            label(Kind::Referrers, Some(&name))?;
            allowed(app, &name)?;
            referrers::list(app, method, &name, &digest, artifact_type.as_deref()).await?
        }
        Route::Extensions { name } => {
            label(Kind::History, name.as_ref())?;
            history::extensions(method)?
        }
        Route::TagHistory { name, tag, query } => {
            label(Kind::History, Some(&name))?;
            tag_allowed(app, &name, &tag)?;
            let (requested, namespace) = (&parsed.requested_name, parsed.namespace.as_ref());
            history::tag_history(app, method, (&name, &tag), requested, namespace, &query).await?
        }
        Route::UpdateHistory { name, tag, span } => {
            label(Kind::History, Some(&name))?;
            tag_allowed(app, &name, &tag)?;
            history::update_history(app, method, &name, &tag, &span).await?
        }
    };
    if let Some(namespace) = &parsed.namespace
        && let Ok(value) = HeaderValue::from_str(namespace.as_str())
    {
        response.headers_mut().insert("oci-namespace", value);
    }
    Ok(response)
}

/// Whether a body was announced. Nothing here takes one, and a proxy in front may read it otherwise than we do.
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(http::header::CONTENT_LENGTH);
    headers.contains_key(http::header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// Refuses what has no tag of a repository whose every tag is denied.
fn allowed(app: &App, name: &Name) -> Result<(), Error> {
    match app.config.policy.denies_repository(name) {
        None => Ok(()),
        Some(rule) => Err(Error::DeniedByPolicy { reference: name.to_string(), rule: rule.to_string() }),
    }
}

/// Refuses what a rule denies of one tag.
fn tag_allowed(app: &App, name: &Name, tag: &Tag) -> Result<(), Error> {
    let decision = app.config.policy.decide(name, tag);
    match decision.effective() {
        Action::Deny => {
            let reference = format!("{name}:{tag}");
            Err(Error::DeniedByPolicy { reference, rule: decision.reason.to_string() })
        }
        _ => Ok(()),
    }
}

fn manifest(app: &App, method: &Method, headers: &HeaderMap, served: &Served) -> Response<Body> {
    if respond::names(headers, &served.digest) {
        return respond::unchanged(app, served);
    }
    respond::manifest(app, method, served)
}

fn ping() -> Response<Body> {
    let mut response = Response::new(full("{}"));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("2"));
    response
}

/// Log, proofs and pages: open only where the configuration says so.
async fn public(app: &Arc<App>, parts: &http::request::Parts, seen: &mut Seen<'_>) -> Response<Body> {
    let path = parts.uri.path();
    let at = At::of_query(parts.uri.query());
    if let Some(path) = path.strip_prefix("/log/") {
        seen.kind = Kind::Log;
        return plain(app, open(app).and_then(|()| log_api::log(app, &parts.method, path, at)));
    }
    if let Some(reference) = path.strip_prefix("/proof/") {
        seen.kind = Kind::Proof;
        let reference = reference.replace("%3A", ":").replace("%3a", ":");
        return plain(app, open(app).and_then(|()| log_api::proof(app, &parts.method, &reference, at)));
    }
    if let Some(what) = path.strip_prefix("/bundle/") {
        seen.kind = Kind::Proof;
        let what = what.replace("%3A", ":").replace("%3a", ":");
        let shown = if app.config.ephemeral { Ok(()) } else { open(app) };
        return plain(app, shown.and_then(|()| evidence::bundle(app, &parts.method, &what)));
    }
    if let Some(name) = path.strip_prefix("/api/v1/tags/") {
        seen.kind = Kind::History;
        let answer = match open(app) {
            Ok(()) => history::releases(app, &parts.method, name).await,
            Err(error) => Err(error),
        };
        return plain(app, answer);
    }
    seen.kind = Kind::Page;
    pages::page(app, parts).await
}

/// Refuses where `public = false`.
pub(super) fn open(app: &App) -> Result<(), Error> {
    if app.config.shows_log() { Ok(()) } else { Err(Error::NotPublic) }
}

/// Outside `/v2/` an error is a line of text.
fn plain(app: &App, answer: Result<Response<Body>, Error>) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        let status = respond::status(app, &error);
        let mut response = respond::text(status, format!("{}\n", respond::message(app, &error)));
        respond::retry_after(response.headers_mut(), &error, status);
        respond::challenge(response.headers_mut(), status);
        response
    })
}

fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=399 => Outcome::Ok,
        502 | 504 => Outcome::UpstreamError,
        503 => Outcome::Unavailable,
        500.. => Outcome::Internal,
        _ => Outcome::ClientError,
    }
}
