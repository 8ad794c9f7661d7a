//! Why a witness does not start, or stops.
//!
//! What a single request gets for an answer is decided in `service`.

use std::io;
use std::path::PathBuf;

/// A witness that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that no signature line can carry.
    #[error(
        "`{name}` cannot name a witness: printable characters without space and `+`, as `witness.example/w1`"
    )]
    Name {
        /// As given.
        name: String,
    },
    /// A log that cannot be configured.
    #[error("log `{origin}`: {why}")]
    Log {
        /// Its origin.
        origin: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Something of a witness is there already.
    #[error("`{}` exists already: a witness is never made over the remains of another; move it away if it is not needed", .path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// There is no database.
    #[error("`{}` is missing: is its volume mounted? A witness that forgot what it cosigned would cosign another history; if this is a new one, make it first", .path.display())]
    DatabaseMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The database is not one of a witness, or of a newer version.
    #[error("`{}` is not the database of a witness of this version", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The key file holds no key of a cosigner.
    #[error("`{}` does not hold a witness key (`PRIVATE+KEY+…` of a cosigner)", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The operating system has no randomness.
    #[error("the operating system gave no random bytes for the key")]
    Randomness(#[source] getrandom::Error),
    /// A file could not be read or written.
    #[error("could not {doing} `{}`", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// SQLite reported an error.
    #[error("the witness's database could not {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A row that this program did not write.
    #[error("the witness's database holds something for log `{origin}` that is no checkpoint")]
    Corrupt {
        /// Whose.
        origin: String,
    },
    /// A COMMIT of which it is not known whether it is on disk.
    #[error(
        "it is not known whether the last promise of this witness is on disk; it stops, and a new start reads what is there"
    )]
    Doubtful,
}
