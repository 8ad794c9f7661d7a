//! The configuration file, key by key, before defaults and other layers.
//!
//! The doc comments here are the reference of the keys. Unknown keys are errors; every value is
//! parsed into the type that it means, so that an error carries its line and column.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use oci::RegistryHost;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::listing::{Allowed, UpstreamsMode};
use super::proxies::{AddressHeader, Network};
use super::sigstore::{Adopted, FormerSigner, SigstoreMode};
use super::values::{BlobMode, ByteSize, LogFormat, Publish, RefusalCode, Span, Supersede};
use crate::policy::{Action, Expression, Mode, OnGone, OnMove, OnYoung, Pattern};

/// Everything that a file may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Address and port to listen on; default `127.0.0.1:8080`.
    pub(super) listen: Option<SocketAddr>,
    /// The URL under which clients reach us; default `http://<listen>`.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) public_url: Option<Url>,
    /// Where the log lives.
    pub(super) data_dir: Option<PathBuf>,
    /// How long a check of a recorded tag against upstream stays fresh; default `0s`: every pull.
    pub(super) recheck: Option<Span>,
    /// How long a pull of a recorded tag waits for that check; default `2s`.
    pub(super) recheck_timeout: Option<Span>,
    /// What a moved tag gets; default `refuse`.
    pub(super) on_move: Option<OnMove>,
    /// What a tag that upstream removed gets; default `refuse`.
    pub(super) on_gone: Option<OnGone>,
    /// `dry-run`: refusals are logged and counted, and upstream's manifest is served; default `enforce`.
    pub(super) mode: Option<Mode>,
    /// The error code of a refusal; default `MANIFEST_UNVERIFIED`.
    pub(super) refusal_code: Option<RefusalCode>,
    /// How blobs reach a client; default `redirect`.
    pub(super) blobs: Option<BlobMode>,
    /// Opens `/log`, `/proof` and the pages; default true while no upstream has credentials.
    pub(super) public: Option<bool>,
    /// Serve what our upstream credentials can read to anyone who reaches us; default false.
    pub(super) anonymous: Option<bool>,
    /// Let the public log name repositories that our upstream credentials can read; default false.
    pub(super) publish_names: Option<bool>,
    /// A second address for `/metrics` alone; default none, and `/metrics` is on `listen`.
    pub(super) metrics_listen: Option<SocketAddr>,
    /// Whether clients may name any registry; default `open`.
    pub(super) upstreams_mode: Option<UpstreamsMode>,
    /// Registries that clients may name with `upstreams_mode = "listed"`, besides those that are configured.
    pub(super) allow: Option<Vec<Allowed>>,
    /// Proxies in front of us whose word on a client's address is taken; default none.
    pub(super) trusted_proxies: Option<Vec<Network>>,
    /// The header in which they write it; default `x-forwarded-for`.
    pub(super) client_address_header: Option<AddressHeader>,
    /// Form of log lines; default `auto`.
    pub(super) log_format: Option<LogFormat>,
    #[serde(default)]
    pub(super) tls: TlsTable,
    #[serde(default)]
    pub(super) auth: AuthTable,
    #[serde(default)]
    pub(super) log: LogTable,
    #[serde(default)]
    pub(super) limits: LimitsTable,
    #[serde(default)]
    pub(super) sigstore: SigstoreTable,
    #[serde(default, deserialize_with = "text::hosts")]
    pub(super) upstreams: BTreeMap<RegistryHost, UpstreamTable>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
}

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    /// The log's name in every checkpoint; fixed when the log is created.
    pub(super) origin: Option<String>,
    /// Whether leaf 0 of a new log allows re-pins; default `operator`.
    pub(super) supersede: Option<Supersede>,
    /// The signing key; default `<data_dir>/log.key`.
    pub(super) key_file: Option<PathBuf>,
    /// A second signing key during a planned change of keys; default none.
    pub(super) next_key_file: Option<PathBuf>,
    /// The rollback guard, best on another volume; default `<data_dir>/guard`.
    pub(super) guard_file: Option<PathBuf>,
    /// A C2SP tlog-policy of the witnesses that are asked to cosign, with their URLs; default: none.
    pub(super) witnesses_file: Option<PathBuf>,
    /// A C2SP tlog-policy of the auditors whose cosignatures are collected; default: none.
    pub(super) auditors_file: Option<PathBuf>,
    /// Whether a checkpoint waits for the witnesses' quorum; default `best-effort`.
    pub(super) publish: Option<Publish>,
    /// Between two questions to witnesses; default `10s`, with `require` `1s`.
    pub(super) witness_interval: Option<Span>,
}

/// `[tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    /// The certificate and those that lead to its root, as PEM.
    pub(super) cert_file: Option<PathBuf>,
    /// Its key, as PEM.
    pub(super) key_file: Option<PathBuf>,
}

/// `[auth]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthTable {
    /// Lines of `name:hash`, as `htpasswd -B` writes them; bcrypt or argon2id.
    pub(super) users_file: Option<PathBuf>,
    /// Lines of `name:sha256:<hex>`, each the hash of a token.
    pub(super) tokens_file: Option<PathBuf>,
}

/// `[limits]`; 0 = none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    /// Default 10000.
    pub(super) new_records_per_client_per_day: Option<u64>,
    /// Default 100000.
    pub(super) new_records_per_upstream_per_day: Option<u64>,
    /// Default `2GiB`.
    pub(super) manifest_bytes_per_day: Option<ByteSize>,
    /// Default 16.
    pub(super) moved_per_tag_per_day: Option<u64>,
    /// Default 64.
    pub(super) seen_per_tag_per_day: Option<u64>,
    /// Free disk below which nothing new is recorded; default `1GiB`.
    pub(super) min_free: Option<ByteSize>,
    /// Connections at one time; default 4096.
    pub(super) connections: Option<u32>,
    /// Connections of one client at one time; default 1024.
    pub(super) connections_per_client: Option<u32>,
    /// Bytes of answers that clients have not taken; default `512MiB`.
    pub(super) untaken: Option<ByteSize>,
    /// Of one client; default `128MiB`.
    pub(super) untaken_per_client: Option<ByteSize>,
    /// Requests of one client (an IPv4 address, an IPv6 /64); default 0.
    pub(super) requests_per_client_per_second: Option<u32>,
    /// Requests that it may make at once after a pause; default ten seconds' worth.
    pub(super) requests_per_client_burst: Option<u32>,
}

/// `[sigstore]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SigstoreTable {
    /// `off`, `per-tag` or `anchor`; default `off`.
    pub(super) mode: Option<SigstoreMode>,
    /// Who signs, as certificates name it; default: learned from the first identity token.
    pub(super) identity: Option<String>,
    /// Who issues its tokens.
    pub(super) issuer: Option<String>,
    /// A P-256 key as PEM, instead of certificates; for private deployments.
    pub(super) key_file: Option<PathBuf>,
    /// A file with an identity token, read each time.
    pub(super) token_file: Option<PathBuf>,
    /// A program that prints one.
    pub(super) token_command: Option<Vec<String>>,
    /// The TUF repository of a private instance; default: the public one's.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) tuf_mirror: Option<Url>,
    /// Its `root.json`.
    pub(super) tuf_root: Option<PathBuf>,
    /// Instead of TUF: `trusted_root.json` of a private instance.
    pub(super) trusted_root: Option<PathBuf>,
    /// `signing_config.json` of a private instance.
    pub(super) signing_config: Option<PathBuf>,
    /// Instead of the signing configuration's.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) fulcio_url: Option<Url>,
    /// Instead of the signing configuration's: a Rekor v1.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) rekor_url: Option<Url>,
    /// Of identity tokens; default `sigstore`.
    pub(super) audience: Option<String>,
    /// For one answer of Fulcio; default `30s`.
    pub(super) fulcio_timeout: Option<Span>,
    /// For one answer of Rekor; default `30s`.
    pub(super) rekor_timeout: Option<Span>,
    /// Has Rekor v1 keep the statement itself, in a second entry; default false.
    pub(super) store_attestation: Option<bool>,
    /// Entries that a search looks at; default 64.
    pub(super) search_entries: Option<usize>,
    /// Time for a search; default `5s`.
    pub(super) search_time: Option<Span>,
    /// Between two checkpoints that are logged with `anchor`; default `1h`.
    pub(super) anchor_every: Option<Span>,
    /// Names that logs under this identity had before, or have beside this one; default none but the predecessor's.
    #[serde(default)]
    pub(super) former_origins: Vec<String>,
    /// Who signed before, and is still believed to have.
    #[serde(default)]
    pub(super) former: Vec<FormerSigner>,
    /// Whose records of the original program are adopted; default nobody's.
    #[serde(default)]
    pub(super) adopt: Vec<Adopted>,
}

/// `[upstreams."<registry name>"]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamTable {
    /// Where the registry is reached; http, ports and private addresses are allowed here only.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) url: Option<Url>,
    /// With `password_file` or `password`.
    pub(super) username: Option<String>,
    /// A file whose first line is the password.
    pub(super) password_file: Option<PathBuf>,
    /// The password itself; a file is better.
    pub(super) password: Option<SecretString>,
    /// Docker's `config.json`, with `auths` or credential helpers, instead of a password.
    pub(super) docker_config: Option<PathBuf>,
    /// A file that holds a token, instead of a password; read again whenever one is needed.
    pub(super) token_file: Option<PathBuf>,
    /// Hosts, besides the registry's own, that may issue its tokens.
    #[serde(default)]
    pub(super) token_hosts: Vec<String>,
    /// `host:port` of storage that this registry may redirect to though it is not public.
    #[serde(default)]
    pub(super) redirect_hosts: Vec<String>,
    /// Questions at one time, streams of blobs not counted; default 64.
    pub(super) max_concurrency: Option<NonZeroUsize>,
    /// Roots that are believed besides the system's, as PEM.
    pub(super) ca_file: Option<PathBuf>,
    /// `http://…` or `https://…`, through which everything of this registry goes; never from the environment.
    #[serde(default, deserialize_with = "text::url")]
    pub(super) proxy: Option<Url>,
    /// Whether records of it are logged in Rekor; default: where it needs no credentials.
    pub(super) sigstore: Option<bool>,
    /// With `proxy_password_file`.
    pub(super) proxy_username: Option<String>,
    /// A file whose first line is the proxy's password.
    pub(super) proxy_password_file: Option<PathBuf>,
    /// That the proxy resolves names, past our filter of private addresses, is accepted.
    pub(super) proxy_without_address_filter: Option<bool>,
}

/// `[[policy]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    /// A glob over `<host>/<repository>:<tag>`.
    #[serde(default, rename = "match", deserialize_with = "text::parsed")]
    pub(super) pattern: Option<Pattern>,
    /// A regular expression over the whole of the same, instead of `match`.
    #[serde(default, deserialize_with = "text::parsed")]
    pub(super) match_regex: Option<Expression>,
    /// `freeze`, `observe`, `follow`, `pass` or `deny`.
    pub(super) action: Action,
    /// Overrides the general `on_move`.
    pub(super) on_move: Option<OnMove>,
    /// Overrides the general `on_gone`.
    pub(super) on_gone: Option<OnGone>,
    /// Overrides the general `mode`.
    pub(super) mode: Option<Mode>,
    /// How long the log has to know a digest before it is served; default none.
    pub(super) min_age: Option<Span>,
    /// What a younger digest gets: `refuse` or `serve-old`; default `refuse`.
    pub(super) on_young: Option<OnYoung>,
}

/// Values that are text in TOML and something else here.
mod text {
    use std::collections::BTreeMap;
    use std::fmt::Display;
    use std::str::FromStr;

    use oci::RegistryHost;
    use serde::de::{Deserialize, Deserializer, Error};
    use url::Url;

    use super::UpstreamTable;

    pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::super::layers::parse_url(&text).map(Some).map_err(D::Error::custom)
    }

    pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
    }

    pub(super) fn hosts<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<RegistryHost, UpstreamTable>, D::Error> {
        let tables = BTreeMap::<String, UpstreamTable>::deserialize(deserializer)?;
        let mut hosts = BTreeMap::new();
        for (key, table) in tables {
            let host = RegistryHost::canonicalize(&key).map_err(|error| {
                D::Error::custom(format!(
                    "`[upstreams.\"{key}\"]`: {error}; an alias needs a dot, such as `{}.alt`",
                    key.split([':', '.']).next().unwrap_or("corp")
                ))
            })?;
            if let Some(_twice) = hosts.insert(host.clone(), table) {
                return Err(D::Error::custom(format!("two tables configure the upstream `{host}`")));
            }
        }
        Ok(hosts)
    }
}
