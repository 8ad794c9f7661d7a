//! Witnesses: asked in the background, first how much of the log they have seen, then for cosignatures.
//!
//! Never in the way of a pull. What is published because of them is the ledger's decision; who is
//! asked, and how often, is the configuration's.

mod doubt;

use std::sync::Arc;
use std::time::Duration;

use ledger::{AppendError, CosignError, Ledger, Mode};
use tlog::{SignatureLine, SignedCheckpoint};
use tokio::sync::{mpsc, watch};
use witness::feeder::{Counters, Pace};
use witness::{Client, Feeder, Newest, Report, SetupError, Witness, WitnessError};

use self::doubt::Doubt;
use crate::config::{Config, CosigningConfig, Policies};

/// Reports of witnesses that wait to be stored; more than a round of any policy gives.
const WAITING: usize = 1_024;
/// Between two questions to a witness, at least.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Between two attempts to store a cosignature that the log could not take.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How long each is waited for before the first signature, where they are not demanded.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the witnesses of the configuration how much of the log they have seen, before something is signed without a
/// running service. What they have against the log makes it read-only.
///
/// # Errors
///
/// [`CosigningError`]
pub async fn ask_witnesses(config: &Config, ledger: &Ledger) -> Result<(), CosigningError> {
    match Cosigning::of(&config.cosigning, ledger, PATIENCE)? {
        Some(cosigning) => cosigning.ask_once(ledger).await,
        None => Ok(()),
    }
}

/// Why no witness can be asked.
#[derive(Debug, thiserror::Error)]
pub enum CosigningError {
    /// A witness of the policy.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// Nothing is known of what they have seen.
    #[error(
        "the witnesses have not said how much of the log they have seen, and nothing is signed until they do; is the network there? `[cosigning] publish` demands them"
    )]
    Unheard,
}

/// The witnesses of one log, ready to be asked.
pub(crate) struct Cosigning {
    client: Client,
    /// How long each is waited for at the start, where witnesses are not demanded.
    patient: Client,
    witnesses: Vec<Witness>,
    policy: tlog::Policy,
    mode: Mode,
    interval: Duration,
    feeder: Feeder,
    newest: watch::Sender<Newest>,
    /// Cosignatures, to be stored.
    reports: mpsc::Receiver<Report>,
    /// What witnesses say against the log. Apart, so that nobody's cosignature waits until that is looked into.
    doubts: mpsc::Receiver<Report>,
}

impl Cosigning {
    /// Sets up; asks nobody yet. `None` without witnesses. Where they are not demanded, each is waited for at the start for
    /// `patience` at most, and as long again if it says that it has seen a longer log.
    pub(crate) fn of(
        config: &CosigningConfig,
        ledger: &Ledger,
        patience: Duration,
    ) -> Result<Option<Self>, CosigningError> {
        let Some(policy) = config.policies.as_ref().and_then(Policies::witnesses).cloned() else {
            return Ok(None);
        };
        let witnesses = Witness::of_policy(&policy)?;
        let client = Client::new(Client::TIMEOUT)?;
        let patient = Client::new(patience)?;
        let interval = config.interval.max(SHORTEST_INTERVAL);
        let (newest, asked_for) = watch::channel(newest(ledger));
        let (sender, reports) = mpsc::channel(WAITING);
        let (doubting, doubts) = mpsc::channel(WAITING);
        let proofs = ledger.clone();
        let feeder = Feeder::new(
            client.clone(),
            witnesses.clone(),
            policy.clone(),
            Pace { interval, ..Pace::default() },
            asked_for,
            Arc::new(move |old, new| proofs.consistency_proof(old, new).map_err(Into::into)),
            Box::new(move |report| {
                let taker = if matches!(report, Report::Cosigned { .. }) { &sender } else { &doubting };
                if taker.try_send(report).is_err() {
                    tracing::warn!(
                        "a witness's answer is left out, because those before it are not done yet"
                    );
                }
            }),
        );
        let mode = config.mode;
        Ok(Some(Self { client, patient, witnesses, policy, mode, interval, feeder, newest, reports, doubts }))
    }

    /// Asks once; [`CosigningError::Unheard`] where they are demanded and too few say anything.
    async fn ask_once(self, ledger: &Ledger) -> Result<(), CosigningError> {
        let Self { patient, witnesses, policy, mode, .. } = self;
        let doubt = Doubt { witnesses: &witnesses, policy: &policy, ledger, client: &patient };
        if doubt.is_open(mode).await { Err(CosigningError::Unheard) } else { Ok(()) }
    }

    /// What each witness did so far.
    pub(crate) fn counters(&self) -> Counters {
        self.feeder.counters()
    }

    /// Asks until `stop` resolves, first whether anybody has seen a longer log.
    pub(crate) async fn run(self, ledger: Ledger, stop: impl Future<Output = ()> + Send) {
        let Self { client, patient, witnesses, policy, mode, interval, feeder, newest, .. } = self;
        let (mut reports, mut doubts) = (self.reports, self.doubts);
        let work = async move {
            let doubt = Doubt { witnesses: &witnesses, policy: &policy, ledger: &ledger, client: &client };
            doubt.ask(mode, &patient, interval).await;
            let follow = follow(&ledger, &newest);
            let store = async {
                while let Some(report) = reports.recv().await {
                    store(&ledger, report).await;
                }
            };
            let hear = async {
                while let Some(report) = doubts.recv().await {
                    doubt.hear(report).await;
                }
            };
            tokio::join!(follow, store, hear, feeder.run(std::future::pending()));
        };
        tokio::select! {
            () = work => {}
            () = stop => {}
        }
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
