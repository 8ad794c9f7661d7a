//! Witnesses: asked in the background, first how much of the log they have seen, then for cosignatures.
//!
//! Never in the way of a pull. What is published because of them is the ledger's decision; who is
//! asked, and how often, is the configuration's.

use std::sync::Arc;
use std::time::Duration;

use ledger::{AppendError, CosignError, Ledger, Mode};
use tlog::{SignatureLine, SignedCheckpoint};
use tokio::sync::{mpsc, watch};
use witness::feeder::{Counters, Pace};
use witness::{Client, Feeder, Newest, Report, SetupError, Witness, WitnessError};

use crate::config::{CosigningConfig, Policies};

/// Reports of witnesses that wait to be stored; more than a round of any policy gives.
const WAITING: usize = 1_024;
/// Between two questions to a witness, at least.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Between two attempts to store a cosignature that the log could not take.
const STORE_AGAIN: Duration = Duration::from_secs(1);

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
    interval: Duration,
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
        let interval = config.interval.max(SHORTEST_INTERVAL);
        let (newest, asked_for) = watch::channel(newest(ledger));
        let (sender, reports) = mpsc::channel(WAITING);
        let proofs = ledger.clone();
        let feeder = Feeder::new(
            client.clone(),
            witnesses.clone(),
            policy.clone(),
            Pace { interval, ..Pace::default() },
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
        Ok(Some(Self { client, witnesses, policy, mode: config.mode, interval, feeder, newest, reports }))
    }

    /// What each witness did so far.
    pub(crate) fn counters(&self) -> Counters {
        self.feeder.counters()
    }

    /// Asks until `stop` resolves. Where the witnesses' quorum is demanded, first whether anybody has seen a longer log.
    pub(crate) async fn run(self, ledger: Ledger, stop: impl Future<Output = ()> + Send) {
        let Self { client, witnesses, policy, mode, interval, feeder, newest, mut reports } = self;
        let work = async move {
            if mode == Mode::Require {
                ask_for_sizes(&client, &witnesses, &policy, interval, &ledger).await;
            }
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

/// The rule of the start (design §4): nothing is signed until a quorum of witnesses holds no more than we do. Returns
/// then, and never once so many hold more that there is no such quorum. One that lies while others are silent decides
/// nothing.
async fn ask_for_sizes(
    client: &Client,
    witnesses: &[Witness],
    policy: &tlog::Policy,
    interval: Duration,
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
        for (witness, held) in sizes.above() {
            tracing::error!(%witness, held, ours = signed.size, "a witness says that it has seen a longer log than ours");
        }
        if sizes.allow_signing(policy) {
            return ledger.release();
        }
        if sizes.forbid_signing(policy) {
            ledger.declare_rollback(sizes.above().map(|(_, held)| held).max().unwrap_or_default());
            return std::future::pending().await;
        }
        tracing::warn!(
            "the witnesses have not said yet how much of the log they have seen; nothing is signed until they do"
        );
        tokio::time::sleep(interval).await;
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
    if let Err(error) = keep(ledger, size, &lines).await {
        tracing::warn!(%witness, size, %error, "a cosignature could not be stored");
    }
}

/// Tries again as long as that may help: the witness is not asked again for what it has cosigned.
async fn keep(ledger: &Ledger, size: u64, lines: &[SignatureLine]) -> Result<(), CosignError> {
    let mut told = false;
    loop {
        match ledger.add_cosignatures(size, lines).await {
            Err(CosignError::Append(error @ (AppendError::Busy { .. } | AppendError::Store(_)))) => {
                if !told {
                    tracing::warn!(size, %error, "a cosignature cannot be stored now; trying again");
                }
                told = true;
                tokio::time::sleep(STORE_AGAIN).await;
            }
            kept => return kept.map(drop),
        }
    }
}
