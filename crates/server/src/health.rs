//! `/livez`, `/readyz` and `/metrics`.
//!
//! Ready means that a first pull could be recorded now: the last checkpoint verifies, the store can
//! be written, the clock is sane. Live means only that the process answers.

use std::fmt::Write as _;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::app::App;
use crate::edge::body::Body;
use crate::edge::certificates::Certificates;
use crate::edge::respond::text;

/// How many times as long as a pull waits for cosignatures the service as a whole is called ready without them.
const PATIENCE: u32 = 6;

/// Always 200 while the process answers.
pub(crate) fn live() -> Response<Body> {
    text(StatusCode::OK, "ok\n".to_owned())
}

/// 200, or 503 with one line for each thing that is wrong. What will be wrong if nobody looks stands behind it.
pub(crate) fn ready(app: &App) -> Response<Body> {
    let health = app.ledger.health();
    let waits = waits_for_witnesses(app, &health);
    let mut lines = if health.is_ready() { String::new() } else { problems(&health) };
    if waits {
        lines.push_str(
            "the newest records wait for the witnesses, and no new tag is served before they have cosigned\n",
        );
    }
    let ends = app.tls.as_ref().map(Certificates::not_after);
    if ends.is_some_and(|ends| ends <= app.now()) {
        lines
            .push_str("the certificate that clients are shown has ended; put a new one in `tls.cert_file`\n");
    }
    let (status, mut page) = match lines.as_str() {
        "" => (StatusCode::OK, "ok\n".to_owned()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, lines),
    };
    if let Some(records) = &app.evidence {
        let health = records.sigstore.health();
        // New tags wait for Rekor; what is recorded does not. What others said is for our own log.
        if health.expired.is_some() {
            page.push_str("records cannot be logged in Rekor: the trust root has expired\n");
        } else if health.last_error.is_some() {
            page.push_str(
                "records cannot be logged in Rekor: the last try failed; the service's log says why\n",
            );
        }
    }
    let failing = [
        ("certificate", app.tls.as_ref().and_then(|tls| tls.watched.failing())),
        ("users' files", app.auth.as_ref().and_then(|auth| auth.watched().failing())),
    ];
    for (what, why) in failing {
        if let Some(why) = why {
            // Writing to a String does not fail.
            let _infallible = writeln!(page, "the new {what} cannot be used, and the old stays: {why}");
        }
    }
    text(status, page)
}

/// Whether records have waited for cosignatures for longer than [`PATIENCE`] pulls wait. Only where the policy demands
/// them does anything wait.
fn waits_for_witnesses(app: &App, health: &ledger::Health) -> bool {
    let mut since = app.uncovered_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if health.size >= health.newest {
        *since = None;
        return false;
    }
    since.get_or_insert_with(Instant::now).elapsed() >= app.cover_timeout * PATIENCE
}

/// One line for each thing that keeps a new tag from being recorded.
fn problems(health: &ledger::Health) -> String {
    let mut lines = String::new();
    let mut line = |problem: &dyn std::fmt::Display| {
        // Writing to a String does not fail.
        let _infallible = writeln!(lines, "{problem}");
    };
    if !health.checkpoint_verifies {
        line(&"there is no published checkpoint that verifies with the log's key");
    }
    if health.held {
        line(&"nothing is signed until the witnesses have said how much of the log they have seen");
    }
    if let Some(read_only) = &health.read_only {
        line(read_only);
    }
    if health.stopped {
        line(&"the ledger has stopped and records nothing more; restart the service");
    }
    if let Some(error) = &health.failing {
        line(&format_args!("the last batch was not recorded: {error}"));
    }
    if let Some(error) = &health.clock {
        line(error);
    }
    if !health.clock_agrees_with_upstream {
        line(&"the clock is more than a day away from that of an upstream; set the clock right");
    }
    if let Some(free) = health.disk_too_full {
        line(&format_args!("only {free} bytes are free on the volume of the data directory"));
    }
    lines
}

/// The Prometheus text format.
pub(crate) fn metrics(app: &App) -> Response<Body> {
    let size = app.published_size();
    if let Some(witnesses) = &app.witnesses {
        app.metrics.witnesses(&witnesses.snapshot());
    }
    app.metrics.connections(app.crowd.refused(), app.tls.as_ref().map(Certificates::not_after));
    if let Some(records) = &app.evidence {
        app.metrics.sigstore(&records.sigstore.statistics());
    }
    app.metrics.remaining(app.upstream.allowances());
    match app.metrics.render(size, &app.ledger.statistics()) {
        Ok(page) => {
            let mut response = text(StatusCode::OK, page);
            let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n".to_owned())
        }
    }
}
