//! `/livez`, `/readyz` and `/metrics`.
//!
//! Ready means that a first pull could be recorded now: the last checkpoint verifies, the store can
//! be written, the clock is sane. Live means only that the process answers.

use std::fmt::{Display, Write as _};
use std::time::Instant;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use ledger::ReadOnly;
use serde::{Deserialize, Serialize};

use witness::feeder::Counters;

use crate::app::App;
use crate::auth::Auth;
use crate::edge::body::Body;
use crate::edge::certificates::Certificates;
use crate::edge::respond::text;

/// The label of what a witness says that has seen more.
const AHEAD: &str = "ahead";
/// How many times as long as a pull waits for cosignatures the service as a whole is called ready without them.
const PATIENCE: u32 = 6;

/// Who reads what is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// Whoever reaches `listen`: no paths, and nothing of what others answered.
    Strangers,
    /// Those who reach `metrics_listen` or the admin socket.
    Operators,
}

/// Whether a first pull could be recorded now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it could.
    pub is_ready: bool,
    /// `ok`, or a line for each thing that is wrong; then one for each that will be if nobody looks.
    pub page: String,
}

/// Always 200 while the process answers.
pub(crate) fn live() -> Response<Body> {
    text(StatusCode::OK, "ok\n".to_owned())
}

/// 200, or 503 with one line for each thing that is wrong. What will be wrong if nobody looks stands behind it.
pub(crate) fn ready(app: &App, told: Told) -> Response<Body> {
    let Readiness { is_ready, page } = readiness(app, told);
    text(if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, page)
}

/// What [`ready`] says.
pub(crate) fn readiness(app: &App, told: Told) -> Readiness {
    let health = app.ledger.health();
    let waits = waits_for_witnesses(app, &health);
    let mut lines = if health.is_ready() { String::new() } else { problems(&health, told) };
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
    let is_ready = lines.is_empty();
    let mut page = if is_ready { "ok\n".to_owned() } else { lines };
    if let Some(records) = &app.evidence {
        let health = records.sigstore.health();
        for why in health.expired.iter().chain(&health.last_error) {
            // New tags wait for Rekor; what is recorded does not.
            told.line(&mut page, "records cannot be logged in Rekor", why);
        }
    }
    if app.auth.as_ref().is_some_and(Auth::knows_nobody) {
        page.push_str("nobody may pull: there is neither a user nor a token in the files of `[auth]`\n");
    }
    if health.read_only.is_none() {
        for (witness, counts) in app.witnesses.iter().flat_map(Counters::snapshot) {
            if counts.failed.contains_key(AHEAD) {
                let _infallible = writeln!(
                    page,
                    "the witness `{witness}` has said that it has seen a longer log than this one, and proved nothing; if the store was put back from a copy, stop the service and rebuild it with `tlogistry restore --from EXPORT|URL`"
                );
            }
        }
    }
    let failing = [
        ("certificate", app.tls.as_ref().and_then(|tls| tls.watched.failing())),
        ("users' files", app.auth.as_ref().and_then(|auth| auth.watched().failing())),
    ];
    for (what, why) in failing {
        if let Some(why) = why {
            told.line(&mut page, &format!("the new {what} cannot be used, and the old stays"), &why);
        }
    }
    Readiness { is_ready, page }
}

impl Told {
    /// With the reason, which names files and hosts, for those who may know it.
    fn line(self, page: &mut String, what: &str, why: &dyn Display) {
        // Writing to a String does not fail.
        let _infallible = match self {
            Self::Operators => writeln!(page, "{what}: {why}"),
            Self::Strangers => writeln!(page, "{what}; the operator's log says why"),
        };
    }
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

/// Why nothing new is recorded, without the file that is missing.
pub(crate) fn why_read_only(why: &ReadOnly) -> String {
    match why {
        ReadOnly::KeyMissing { .. } => {
            "the log's key is missing: nothing new is recorded until the operator has put the key back".to_owned()
        }
        ReadOnly::GuardMissing { .. } | ReadOnly::GuardDamaged { .. } => {
            "the log's rollback guard is missing or damaged: nothing new is recorded until the operator has put it right"
                .to_owned()
        }
        ReadOnly::RolledBack { .. } | ReadOnly::Forked { .. } | ReadOnly::Closed => why.to_string(),
    }
}

/// One line for each thing that keeps a new tag from being recorded.
fn problems(health: &ledger::Health, told: Told) -> String {
    let mut lines = String::new();
    if let Some(error) = &health.failing {
        told.line(&mut lines, "the last batch was not recorded", error);
    }
    let mut line = |problem: &dyn Display| {
        // Writing to a String does not fail.
        let _infallible = writeln!(lines, "{problem}");
    };
    if !health.checkpoint_verifies {
        line(&"there is no published checkpoint that verifies with the log's key");
    }
    if health.held {
        line(&"nothing is signed until the witnesses have said how much of the log they have seen");
    }
    match (&health.read_only, told) {
        (None, _) => {}
        (Some(why), Told::Strangers) => line(&why_read_only(why)),
        (Some(why), Told::Operators) => line(why),
    }
    if health.stopped {
        line(&"the ledger has stopped and records nothing more; restart the service");
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
