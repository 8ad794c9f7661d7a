//! Reading a log as a stranger: verifying one tag, replaying all of history, remembering what was seen,
//! writing down faults so that anybody can check them, cosigning, monitoring.
//!
//! Believes nothing that it did not hash or whose signature it did not check. Knows nothing of the
//! running ledger; time is passed in as Unix seconds.

#![forbid(unsafe_code)]

mod cache;
pub mod cosign;
mod error;
pub mod evidence;
pub mod history;
mod memory;
pub mod monitor;
mod post;
mod remembered;
mod source;
mod state;
mod time;
mod tree;
mod trust;
pub mod verify;

pub use self::cache::Cache;
pub use self::error::{Answer, Error};
pub use self::history::audit;
pub use self::memory::Memory;
pub use self::monitor::Monitor;
pub use self::source::{Http, Source};
pub use self::state::LogState;
pub use self::time::rfc3339;
pub use self::tree::{Bundle, Bundles, Tree};
pub use self::trust::{AUDITORS, Cosigned, Cosigner, Trust};
pub use self::verify::{proof, verify};
