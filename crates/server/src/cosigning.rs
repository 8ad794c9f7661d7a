//! Cosignatures: witnesses are asked in the background, auditors bring theirs.
//!
//! Never in the way of a pull. What is published because of them is the ledger's decision; who is
//! asked, and how often, is the configuration's.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use ledger::{CosignError, Ledger, Mode};
use tlog::SignedCheckpoint;
use tokio::sync::{mpsc, watch};
use witness::feeder::{Counters, Pace};
use witness::{Client, Feeder, Newest, Report, SetupError, Witness, WitnessError};

use crate::app::App;
use crate::config::{CosigningConfig, Policies};
use crate::edge::body::{Body, full};

/// Bytes of a note that an auditor sends; sixty cosignatures fit.
const MAX_NOTE: usize = 64 * 1024;
/// How long an auditor may take to send one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reports of witnesses that wait to be stored; more than a round of any policy gives.
const WAITING: usize = 1_024;
/// Between two attempts to learn from witnesses whether they have seen a longer log.
const AGAIN: Duration = Duration::from_secs(5);

/// Why no witness can be asked.
#[derive(Debug, thiserror::Error)]
pub enum CosigningError {
    /// A witness of the policy.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] SetupError),
}

/// The witnesses of one log, ready to be asked.
pub(crate) struct Cosigning {
    client: Client,
    witnesses: Vec<Witness>,
    policy: tlog::Policy,
    mode: Mode,
    feeder: Feeder,
    newest: watch::Sender<Newest>,
    reports: mpsc::Receiver<Report>,
}

impl Cosigning {
    /// Sets up; asks nobody yet. `None` without witnesses.
    pub(crate) fn of(config: &CosigningConfig, ledger: &Ledger) -> Result<Option<Self>, CosigningError> {
        let Some(policy) = config.policies.as_ref().and_then(Policies::witnesses).cloned() else {
            return Ok(None);
        };
        let witnesses = Witness::of_policy(&policy)?;
        let client = Client::new(Client::TIMEOUT)?;
        let (newest, asked_for) = watch::channel(newest(ledger));
        let (sender, reports) = mpsc::channel(WAITING);
        let proofs = ledger.clone();
        let feeder = Feeder::new(
            client.clone(),
            witnesses.clone(),
            policy.clone(),
            Pace { interval: config.interval, ..Pace::default() },
            asked_for,
            Arc::new(move |old, new| proofs.consistency_proof(old, new).map_err(Into::into)),
            Box::new(move |report| {
                if sender.try_send(report).is_err() {
                    tracing::warn!(
                        "a witness's answer is left out, because those before it are not stored yet"
                    );
                }
            }),
        );
        Ok(Some(Self { client, witnesses, policy, mode: config.mode, feeder, newest, reports }))
    }

    /// What each witness did so far.
    pub(crate) fn counters(&self) -> Counters {
        self.feeder.counters()
    }

    /// Asks until `stop` resolves: first whether anybody has seen a longer log, then for cosignatures.
    pub(crate) async fn run(self, ledger: Ledger, stop: impl Future<Output = ()> + Send) {
        let Self { client, witnesses, policy, mode, feeder, newest, mut reports } = self;
        let work = async move {
            ask_for_sizes(&client, &witnesses, &policy, mode, &ledger).await;
            let follow = follow(&ledger, &newest);
            let store = async {
                while let Some(report) = reports.recv().await {
                    store(&ledger, report).await;
                }
            };
            tokio::join!(follow, store, feeder.run(std::future::pending()));
        };
        tokio::select! {
            () = work => {}
            () = stop => {}
        }
    }
}

/// The rule of the start (design §4): nothing is signed until a quorum of witnesses holds no more than we do. One that
/// says nothing, or that it holds more, holds up nothing in best-effort mode.
async fn ask_for_sizes(
    client: &Client,
    witnesses: &[Witness],
    policy: &tlog::Policy,
    mode: Mode,
    ledger: &Ledger,
) {
    loop {
        let signed = ledger.signed().borrow().clone();
        let checkpoint: SignedCheckpoint = match signed.note.parse() {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(%error, "the log's own checkpoint cannot be read; nothing is signed");
                return std::future::pending().await;
            }
        };
        let sizes = witness::sizes(client, witnesses, &checkpoint).await;
        let above = sizes.above().max_by_key(|(_, held)| *held).map(|(name, held)| (name.to_owned(), held));
        if let Some((witness, held)) = &above {
            tracing::error!(%witness, held, ours = signed.size, "a witness says that it has seen a longer log than ours");
        }
        if mode == Mode::BestEffort || sizes.allow_signing(policy) {
            return ledger.release();
        }
        if let Some((_, held)) = above {
            ledger.declare_rollback(held);
            return std::future::pending().await;
        }
        tracing::warn!(
            "the witnesses have not said yet how much of the log they have seen; nothing is signed until they do"
        );
        tokio::time::sleep(AGAIN).await;
    }
}

fn newest(ledger: &Ledger) -> Newest {
    let signed = ledger.signed().borrow().clone();
    Newest { note: Arc::clone(&signed.note), size: signed.size }
}

/// Tells the feeder of each new checkpoint.
async fn follow(ledger: &Ledger, newest: &watch::Sender<Newest>) {
    let mut signed = ledger.signed();
    loop {
        let next = signed.borrow_and_update().clone();
        newest.send_replace(Newest { note: Arc::clone(&next.note), size: next.size });
        if signed.changed().await.is_err() {
            return;
        }
    }
}

async fn store(ledger: &Ledger, report: Report) {
    let Report::Cosigned { size, note, witness, .. } = report else { return };
    let lines = match note.parse::<SignedCheckpoint>() {
        Ok(checkpoint) => checkpoint.note().signatures().to_vec(),
        Err(error) => return tracing::warn!(%witness, %error, "a cosigned checkpoint cannot be read"),
    };
    if let Err(error) = ledger.add_cosignatures(size, &lines).await {
        tracing::warn!(%witness, size, %error, "a cosignature could not be stored");
    }
}

/// `POST /log/cosignature`: an auditor brings its cosignature of a published checkpoint.
///
/// 200 and nothing: it is kept. 400: no note. 403: a key that is not collected, or a cosignature that does not verify.
/// 404: a checkpoint that this log never published, or nothing is collected. 503: it could not be stored.
pub(crate) async fn collect<B>(app: &App, body: B) -> Response<Body>
where
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let (status, why) = match take(app, body).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err((status, why)) => (status, format!("{why}\n")),
    };
    let mut response = Response::new(full(why));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, text);
    response
}

async fn take<B>(app: &App, body: B) -> Result<(), (StatusCode, String)>
where
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let refuse = |status, why: &str| Err((status, why.to_owned()));
    if !app.config.public || app.config.cosigning.policies.is_none() {
        return refuse(StatusCode::NOT_FOUND, "this log collects no cosignatures");
    }
    let whole = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_NOTE).collect()).await;
    let Ok(Ok(whole)) = whole else {
        return refuse(StatusCode::BAD_REQUEST, "the note is larger than 64 KiB, or did not come in time");
    };
    let bytes = whole.to_bytes();
    let signed = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<SignedCheckpoint>().ok());
    let Some(signed) = signed else {
        return refuse(StatusCode::BAD_REQUEST, "this is not the note of a checkpoint");
    };
    let size = signed.checkpoint().size;
    let published = app.ledger.published().map_or(0, |published| published.size);
    if signed.checkpoint().origin != app.ledger.origin() || size > published {
        return refuse(StatusCode::NOT_FOUND, "this log has published no such checkpoint");
    }
    match app.ledger.add_cosignatures(size, signed.note().signatures()).await {
        Ok(outcome) if !outcome.refused.is_empty() => {
            let whose = outcome.refused.join("`, `");
            refuse(StatusCode::FORBIDDEN, &format!("the cosignature of `{whose}` does not verify"))
        }
        Ok(outcome) if outcome.added == 0 => {
            refuse(StatusCode::FORBIDDEN, "no cosignature by a key that this log collects")
        }
        Ok(_) => Ok(()),
        Err(CosignError::NotSigned { .. }) => {
            refuse(StatusCode::NOT_FOUND, "this log has published no such checkpoint")
        }
        Err(error) => {
            tracing::warn!(size, %error, "a cosignature could not be stored");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "the cosignature could not be stored now; send it again")
        }
    }
}
