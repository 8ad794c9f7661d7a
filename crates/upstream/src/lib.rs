//! The registry client: credentials, address filter, redirects, retries, limits.
//!
//! Every request to an upstream is built here from scratch; nothing of a client's headers passes
//! but a blob's range. Every manifest is hashed here. Knows no records and no policies.

#![forbid(unsafe_code)]

mod address;
mod allowance;
mod authorization;
mod blob;
mod body;
mod breaker;
mod client;
mod connector;
mod endpoint;
mod endpoints;
mod error;
mod exchange;
mod last;
mod login;
mod manifest;
mod realm;
mod referrers;
mod resolver;
mod room;
mod send;
mod settings;
mod tags;
mod tls;
mod token;
mod turns;

pub use self::blob::{BlobAnswer, BlobMethod, BlobRange, BlobStream};
pub use self::client::Client;
pub use self::error::{Error, ErrorKind};
pub use self::manifest::{FetchedManifest, Head};
pub use self::resolver::{Lookup, LookupFunction};
pub use self::settings::{Clock, Credentials, ProxySettings, Settings, Timeouts, UpstreamSettings};
pub use self::tags::TagsPage;
