//! Whether witnesses have seen more of this log than there is here, or another one: then its store was put back from a
//! copy, and whatever it signs next is a second history.
//!
//! A checkpoint with this log's own signature proves it, and one witness that shows such a one is enough. A witness that
//! merely says so may lie, and is outvoted where others can decide. Knows no pull.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use ledger::{Ledger, Mode};
use tlog::SignedCheckpoint;
use witness::{Client, Report, Witness};

/// So many at least have to say it at the start, where witnesses are not demanded and nobody proves it.
const SEVERAL: usize = 2;

/// What those who were asked made of this log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// A quorum has seen no more than there is.
    Sound,
    /// It was rolled back, and is read-only.
    RolledBack,
    /// Neither.
    Unknown,
}

/// Asks the witnesses of one log, and listens to them.
pub(super) struct Doubt<'a> {
    pub(super) witnesses: &'a [Witness],
    pub(super) policy: &'a tlog::Policy,
    pub(super) ledger: &'a Ledger,
    /// Shows checkpoints, and is not in a hurry.
    pub(super) client: &'a Client,
}

impl Doubt<'_> {
    /// The rule of the start (design §4): nothing is signed until a quorum of witnesses holds no more than we do, and
    /// never where that cannot come about. Where they are not demanded, each is asked once, by `patient` as long as that
    /// waits, and those who say nothing are not waited for.
    pub(super) async fn ask(&self, mode: Mode, patient: &Client, interval: Duration) {
        let verdict = match mode {
            Mode::Require => loop {
                match self.round(self.client, 1).await {
                    Verdict::Unknown => {}
                    verdict => break verdict,
                }
                tracing::warn!(
                    "the witnesses have not said yet how much of the log they have seen; nothing is signed until they do"
                );
                tokio::time::sleep(interval).await;
            },
            Mode::BestEffort => self.round(patient, SEVERAL).await,
        };
        match verdict {
            Verdict::RolledBack => return std::future::pending().await,
            Verdict::Unknown => tracing::warn!(
                "too few witnesses have said how much of the log they have seen; with `publish = \"best-effort\"` it goes on without them"
            ),
            Verdict::Sound => {}
        }
        self.ledger.release();
    }

    /// Asks once; whether witnesses are demanded and have left it open how much of the log they have seen.
    pub(super) async fn is_open(&self, mode: Mode) -> bool {
        let enough = if mode == Mode::Require { 1 } else { SEVERAL };
        self.round(self.client, enough).await == Verdict::Unknown && mode == Mode::Require
    }

    /// Asks each witness once how much it holds. `enough` of them are believed without a proof.
    async fn round(&self, client: &Client, enough: usize) -> Verdict {
        let signed = self.ledger.signed().borrow().clone();
        let checkpoint: SignedCheckpoint = match signed.note.parse() {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(%error, "the log's own checkpoint cannot be read; nothing is signed");
                return std::future::pending().await;
            }
        };
        let sizes = witness::sizes(client, self.witnesses, &checkpoint).await;
        let above: BTreeMap<&str, u64> = sizes.above().collect();
        for (witness, held) in &above {
            tracing::error!(%witness, held, ours = signed.size, "a witness says that it has seen a longer log than ours");
        }
        let proved = join_all(above.keys().map(|witness| self.confront(client, witness))).await;
        if proved.contains(&true) {
            return Verdict::RolledBack;
        }
        if sizes.allow_signing(self.policy) {
            return Verdict::Sound;
        }
        if above.len() >= enough && sizes.forbid_signing(self.policy) {
            self.ledger.declare_rollback(above.into_values().max().unwrap_or_default());
            return Verdict::RolledBack;
        }
        Verdict::Unknown
    }

    /// The same later, by what the feeder hears: words alone stop nothing any more, for nothing was put back meanwhile.
    pub(super) async fn hear(&self, report: Report) {
        match report {
            Report::Cosigned { .. } => {}
            Report::Contradicted { witness } => {
                let _known_to_all = self.confront(self.client, &witness).await;
            }
            // Whoever reads our checkpoints may have brought it a newer one than we asked with.
            Report::Ahead { held, .. } if held <= self.ledger.signed().borrow().size => {}
            Report::Ahead { witness, .. } => {
                let _known_to_all = self.confront(self.client, &witness).await;
            }
        }
    }

    /// Whether a witness proves it. From then on nothing is signed.
    async fn confront(&self, client: &Client, name: &str) -> bool {
        let Some(witness) = self.witnesses.iter().find(|witness| witness.name() == name) else {
            return false;
        };
        let shown = match client.shown(witness, self.ledger.origin()).await {
            Ok(shown) => shown,
            Err(error) => {
                tracing::warn!(
                    witness = name, %error,
                    "the witness shows no checkpoint that proves it; if the store was put back from a copy, stop and rebuild it with `tlogistry restore --from EXPORT|URL`"
                );
                return false;
            }
        };
        match self.ledger.confront(&shown) {
            Ok(proved) => proved.is_some(),
            Err(error) => {
                tracing::error!(witness = name, %error, "what a witness shows could not be compared");
                false
            }
        }
    }
}
