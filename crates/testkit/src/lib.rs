//! Fakes for tests; a dev-dependency and nothing else. What is here:
//!
//! * [`FakeRegistry`]: a registry on a real loopback socket, with every quirk of the real ones as a switch
//!   ([`Quirk`], [`When`]), token flows ([`Auth`]), and a record of every request ([`RecordedRequest`]);
//! * [`RawServer`]: answers that no HTTP library would send;
//! * [`tls`]: TLS in front of any of these;
//! * [`Gate`]: holds answers until the test lets them go, so that no test sleeps;
//! * [`Clock`]: moved by hand;
//! * [`Image`] and [`Index`]: small valid manifests with everything they name;
//! * [`wire`]: a plain HTTP client that shows exactly what was on the wire;
//! * [`port`]: addresses of which it is certain that nobody listens, or answers, there.
//!
//! Digests and grammar are computed here without the crates under test, so that a fault in those
//! cannot hide behind the same fault in their fake.

#![expect(clippy::expect_used, clippy::panic, reason = "a test kit fails by panicking")]

mod clock;
mod digest;
mod gate;
mod image;
pub mod media_type;
pub mod port;
mod raw;
mod registry;
pub mod sigstore;
pub mod tls;
pub mod wire;

pub use self::clock::Clock;
pub use self::digest::{sha256_digest, sha512_digest};
pub use self::gate::Gate;
pub use self::image::{Image, Index, unique};
pub use self::raw::RawServer;
pub use self::registry::{Answer, Auth, FakeRegistry, Kind, Quirk, RecordedRequest, TokenFields, When};
