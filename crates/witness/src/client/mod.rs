//! Submits one checkpoint to one witness and judges the answer (C2SP tlog-witness `add-checkpoint`).
//!
//! Whatever a witness says ends in a typed outcome after at most three requests. Knows no ledger: the
//! consistency proof comes from the caller.

pub(crate) mod answer;
mod cosigned;
mod error;

use std::error::Error;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use tlog::{AddCheckpoint, Hash, SignedCheckpoint};

use self::answer::Answer;
pub use self::cosigned::Cosigned;
pub use self::error::{SetupError, SubmitError};
use crate::Witness;

const USER_AGENT: &str = concat!("tlogistry/", env!("CARGO_PKG_VERSION"));
/// Requests of one submission: one to learn the size, one with the right proof, one for a race.
const TRIES: usize = 3;

/// Asks any number of witnesses; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    timeout: Duration,
}

impl Client {
    /// How long a submission may take, all its requests together, where nothing else is said.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A client whose submissions end after `timeout`; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Most likely the system has no root certificates.
    pub fn new(timeout: Duration) -> Result<Self, SetupError> {
        // One provider for the process; a second installation says only that there is one.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            // Nothing but the configuration says where requests go.
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(1)
            .build()
            .map_err(SetupError)?;
        Ok(Self { http, timeout })
    }

    /// Asks `witness` to cosign `checkpoint`.
    ///
    /// `known` is the size that the witness held when it last answered, 0 where that is not known.
    /// `prove(old)` gives the consistency proof from `old` to the checkpoint's size; it is called for
    /// 0 < `old` < size only, at most three times, and should take no longer than reading a few tiles.
    ///
    /// # Errors
    ///
    /// Every outcome but a cosignature that verifies. [`SubmitError::Ahead`] says that the witness has
    /// seen more of this log than the checkpoint holds.
    pub async fn submit<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        witness: &Witness,
        checkpoint: &SignedCheckpoint,
        known: u64,
        prove: impl FnMut(u64) -> Result<Vec<Hash>, E>,
    ) -> Result<Cosigned, SubmitError> {
        self.within(self.tries(witness, checkpoint, known, prove)).await
    }

    /// Asks as one that does not know what `witness` holds, once; see [`crate::sizes`].
    pub(crate) async fn discover(
        &self,
        witness: &Witness,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Answer, SubmitError> {
        self.within(self.ask(witness, checkpoint, 0, Vec::new())).await
    }

    /// The newest checkpoint that `witness` shows of the log `origin`, where it shows any below its submission prefix
    /// (C2SP tlog-witness, monitoring). Nobody's signature on it is checked.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; whatever is no checkpoint is [`SubmitError::Garbage`].
    pub async fn shown(&self, witness: &Witness, origin: &str) -> Result<SignedCheckpoint, SubmitError> {
        self.within(async {
            let sent = self.http.get(witness.checkpoint_of(origin)).send().await;
            answer::shown(sent.map_err(|error| SubmitError::unreachable(&error))?).await
        })
        .await
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, SubmitError>>) -> Result<T, SubmitError> {
        tokio::time::timeout(self.timeout, asked).await.unwrap_or(Err(SubmitError::TimedOut))
    }

    async fn tries<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        witness: &Witness,
        checkpoint: &SignedCheckpoint,
        known: u64,
        mut prove: impl FnMut(u64) -> Result<Vec<Hash>, E>,
    ) -> Result<Cosigned, SubmitError> {
        let size = checkpoint.checkpoint().size;
        let mut old = known.min(size);
        for _try in 0..TRIES {
            let proof = if old == 0 || old == size {
                Vec::new()
            } else {
                prove(old).map_err(|error| SubmitError::Proof { old, source: error.into() })?
            };
            match self.ask(witness, checkpoint, old, proof).await? {
                Answer::Cosigned(cosigned) => return Ok(cosigned),
                Answer::Holds(held) if held > size => return Err(SubmitError::Ahead { held, ours: size }),
                Answer::Holds(held) if held == old => return Err(SubmitError::Conflict),
                Answer::Holds(held) => old = held,
            }
        }
        Err(SubmitError::Unsettled { held: old })
    }

    /// Sends one request that names `old` leaves.
    async fn ask(
        &self,
        witness: &Witness,
        checkpoint: &SignedCheckpoint,
        old: u64,
        proof: Vec<Hash>,
    ) -> Result<Answer, SubmitError> {
        let request = AddCheckpoint::new(old, proof, checkpoint.note().clone());
        let request = request.map_err(SubmitError::Request)?.to_string();
        let post = self.http.post(witness.add_checkpoint().clone());
        let sent = post.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(request).send().await;
        answer::judge(sent.map_err(|error| SubmitError::unreachable(&error))?, witness, checkpoint).await
    }
}
