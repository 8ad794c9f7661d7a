//! A tag statement in, a verified Sigstore bundle out: identity, Fulcio, Rekor v1 and v2, timestamps, trust root.
//!
//! Order of the caller: [`Sigstore::consult`], [`Sigstore::sign`], keep the [`Prepared`], [`Sigstore::submit`], keep the
//! bundle; [`Sigstore::verify`] on every load. Knows no ledger, no registry and no HTTP server.

#![forbid(unsafe_code)]

mod anchored;
mod certificate;
mod checkpoint;
mod consult;
mod entry;
mod entry2;
mod error;
mod evidence;
mod former;
mod fulcio;
mod heads;
mod http;
mod identity;
pub mod monitor;
mod original;
mod prepared;
mod recording;
pub mod referrer;
mod rekor1;
mod rekor2;
mod service;
mod settings;
mod signing;
mod statement;
mod timestamp;
mod together;
mod trust;
mod verify;

pub use self::consult::Consulted;
pub use self::error::{Check, Error, Service};
pub use self::identity::{Identity, Subject};
pub use self::prepared::Prepared;
pub use self::service::{Anchored, Health, Sigstore, Statistics};
pub use self::settings::{
    Clock, Former, IdentitySource, SearchBudget, Settings, SignerSource, TrustSource, TufRepository,
};
pub use self::statement::{Action, CHECKPOINT, Statement, TAG_RECORD};
pub use self::verify::{Entry, Verified};
