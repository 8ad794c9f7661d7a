//! C2SP tlog-witness: the client that a log asks for cosignatures with, the feeder that asks in the
//! background, and a server that cosigns for other logs.
//!
//! Knows checkpoints and consistency proofs, and nothing of what the leaves of a log mean.

#![forbid(unsafe_code)]

pub mod client;
pub mod feeder;
mod peer;
pub mod server;
mod sizes;

pub use self::client::{Client, Cosigned, SetupError, SubmitError};
pub use self::feeder::{Feeder, Newest, Report};
pub use self::peer::{Witness, WitnessError};
pub use self::server::{Settings, create, serve};
pub use self::sizes::{Held, Sizes, sizes};
