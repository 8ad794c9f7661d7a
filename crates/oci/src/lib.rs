//! The registry protocol as types: references, digests, routes, media types, challenges, errors.
//!
//! Pure: whatever comes from a client or an upstream is parsed here into types that cannot be
//! wrong. No I/O, and nothing of records or policies.

#![forbid(unsafe_code)]

mod challenge;
mod digest;
mod error;
mod history;
mod link;
mod manifest;
mod media_type;
mod name;
mod reference;
mod referrers;
mod route;

pub use self::challenge::{Challenge, Scheme, parse_challenges};
pub use self::digest::{Digest, DigestError, Digester, Sha256Digest};
pub use self::error::{Envelope, ErrorCode};
pub use self::history::{HistoryQuery, TimeSpan};
pub use self::link::{Link, PageToken, TagsQuery};
pub use self::manifest::{MAX_MANIFEST, Manifest, ManifestError};
pub use self::media_type::ManifestType;
pub use self::name::{Name, NameError, RegistryHost, Tag, TagName};
pub use self::reference::{Reference, ReferenceError, Selector};
pub use self::referrers::{Descriptor, Referrers, fallback_tag, referrers_index};
pub use self::route::{ManifestSelector, Request, Route, RouteError};
