//! Flag over environment over file over default, and where each value came from.
//!
//! Reads the file and the secrets that it names. Knows nothing of what the service does with them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::{Budgets, Mode};
use url::Url;

use super::environment::{self, Environment};
use super::error::{ConfigError, line_and_column};
use super::file::{AuthTable, File, LimitsTable, LogTable, PolicyTable, TlsTable};
use super::listing::{Listing, UpstreamsMode};
use super::sigstore::sigstore;
use super::upstreams::upstream;
use super::values::{BlobMode, ByteSize, LogFormat, Publish, RefusalCode, Supersede};
use super::{
    AuthConfig, Config, CosigningConfig, Limits, LogConfig, Policies, TlsConfig, TrustedProxies, check,
    memory,
};
use crate::policy::{Action, Defaults, Matcher, Policy, Rule, Terms};

/// `data_dir` of a service without a disk.
const EPHEMERAL: &str = "ephemeral";

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
}

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Built in, or derived from other keys.
    Default,
}

/// Keys whose value is not the default's, with their origin.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, Origin>);

const SYSTEM_FILE: &str = "/etc/tlogistry/config.toml";

impl Config {
    /// Resolves all layers: `flags`, then `environment`, then the file that they name
    /// (`--config`, `TLOGISTRY_CONFIG`, else `/etc/tlogistry/config.toml` if there is one).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with file, line and column where it has one.
    pub fn load(flags: Flags, environment: &Environment<'_>) -> Result<Self, ConfigError> {
        let path = flags
            .config
            .clone()
            .or_else(|| environment("TLOGISTRY_CONFIG").map(PathBuf::from))
            .or_else(|| Some(PathBuf::from(SYSTEM_FILE)).filter(|path| path.exists()));
        let mut origins = Origins::default();
        let mut file = match &path {
            None => File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
                let file =
                    toml::from_str(&text).map_err(|error| ConfigError::in_file(path, &text, &error))?;
                origins.note_file(path, &text);
                file
            }
        };
        // The original's variable, kept because platforms set it; it opens the service to the network.
        let port = match environment("PORT").filter(|value| !value.is_empty()) {
            None => None,
            Some(value) => Some(value.parse::<u16>().map_err(|error| ConfigError::Environment {
                variable: "PORT",
                message: format!("`{value}` is not a port: {error}"),
            })?),
        };
        if let Some(port) = port {
            file.listen = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
            origins.set("listen", Origin::Environment("PORT"));
        }
        for (key, variable) in environment::read(environment, &mut file)? {
            origins.set(key, Origin::Environment(variable));
        }
        if flags.listen.is_some() {
            file.listen = flags.listen;
            origins.set("listen", Origin::Flag("--listen"));
        }
        if flags.data_dir.is_some() {
            file.data_dir = flags.data_dir;
            origins.set("data_dir", Origin::Flag("--data-dir"));
        }
        let config = resolve(file, path, origins, environment)?;
        check::refuse(&config)?;
        Ok(config)
    }
}

impl Origins {
    /// Where the value of a key (`listen`, `log.origin`, …) came from.
    pub fn of(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    fn set(&mut self, key: &str, origin: Origin) {
        self.0.insert(key.to_owned(), origin);
    }

    /// Every key of the file, one level of tables deep.
    fn note_file(&mut self, path: &Path, text: &str) {
        let Ok(document) = toml::de::DeTable::parse(text) else { return };
        let at = |offset| Origin::File { path: path.to_owned(), line: line_and_column(text, offset).0 };
        for (key, value) in document.get_ref() {
            self.set(key.get_ref(), at(key.span().start));
            if let toml::de::DeValue::Table(table) = value.get_ref() {
                for inner in table.keys() {
                    self.set(&format!("{}.{}", key.get_ref(), inner.get_ref()), at(inner.span().start));
                }
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => write!(f, "${variable}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// An absolute http or https URL without credentials, query or fragment.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    if text.contains('@') {
        return Err("the URL holds a user name or a password, and is not shown; write it without".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    let plain = url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain || url.fragment().is_some()
    {
        return Err(format!("`{text}` is not of the form `https://host[:port][/path]`"));
    }
    Ok(url)
}

fn resolve(
    file: File,
    path: Option<PathBuf>,
    origins: Origins,
    environment: &Environment<'_>,
) -> Result<Config, ConfigError> {
    let listen = file.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080));
    let public_url = match file.public_url {
        Some(url) => url,
        None => default_url(listen, file.tls.cert_file.is_some())?,
    };
    let ephemeral = file.data_dir.as_deref() == Some(Path::new(EPHEMERAL));
    let data_dir = match file.data_dir {
        Some(_) if ephemeral => ephemeral_dir()?,
        Some(directory) => directory,
        None => default_data_dir(environment).ok_or(ConfigError::NoDataDirectory)?,
    };
    let mut upstreams = BTreeMap::new();
    for (host, table) in file.upstreams {
        let upstream = upstream(host.as_str(), table)?;
        upstreams.insert(host, upstream);
    }
    let credentials = upstreams.values().any(super::UpstreamConfig::has_credentials);
    let had_credentials = memory::had_credentials(&data_dir);
    let mode = file.upstreams_mode.unwrap_or_default();
    if mode == UpstreamsMode::Open && file.allow.is_some() {
        return Err(ConfigError::Refused {
            message: "`allow` names registries, but with `upstreams_mode = \"open\"` clients may name any"
                .to_owned(),
            hint: "set `upstreams_mode = \"listed\"`, or remove `allow`".to_owned(),
        });
    }
    let AuthTable { users_file, tokens_file } = file.auth;
    let auth =
        (users_file.is_some() || tokens_file.is_some()).then_some(AuthConfig { users_file, tokens_file });
    let defaults = Defaults::default();
    let defaults = Defaults {
        on_move: file.on_move.unwrap_or(defaults.on_move),
        on_gone: file.on_gone.unwrap_or(defaults.on_gone),
        mode: file.mode.unwrap_or(defaults.mode),
    };
    let rules: Result<Vec<Rule>, ConfigError> =
        file.policy.into_iter().zip(1..).map(|(table, number)| rule(table, number)).collect();
    let rules = rules?;
    let authority = public_url.authority().to_owned();
    let cosigning = cosigning(&file.log)?;
    Ok(Config {
        cosigning,
        listen,
        recheck: file.recheck.map_or(Duration::ZERO, |span| span.0),
        recheck_timeout: file.recheck_timeout.map_or(Duration::from_secs(2), |span| span.0),
        refusal_code: file.refusal_code.unwrap_or(RefusalCode::ManifestUnverified),
        blobs: file.blobs.unwrap_or(BlobMode::Redirect),
        public: file.public.unwrap_or(!credentials && !had_credentials && auth.is_none()),
        listing: Listing::new(mode, upstreams.keys().cloned(), file.allow.unwrap_or_default()),
        trusted_proxies: TrustedProxies::new(
            file.trusted_proxies.unwrap_or_default(),
            file.client_address_header.unwrap_or_default(),
        ),
        tls: tls(file.tls)?,
        auth,
        had_credentials,
        anonymous: file.anonymous.unwrap_or(false),
        publish_names: file.publish_names.unwrap_or(false),
        metrics_listen: file.metrics_listen,
        log_format: file.log_format.unwrap_or(LogFormat::Auto),
        log: LogConfig {
            origin: file.log.origin.unwrap_or_else(|| format!("{authority}/log")),
            supersede: file.log.supersede.unwrap_or(Supersede::Operator),
            key_file: file.log.key_file,
            next_key_file: file.log.next_key_file,
            guard_file: file.log.guard_file,
        },
        limits: limits(&file.limits, ephemeral),
        sigstore: sigstore(file.sigstore, &data_dir, environment)?,
        ephemeral,
        policy: Policy::new(rules, defaults),
        upstreams,
        public_url,
        data_dir,
        file: path,
        origins,
    })
}

fn cosigning(table: &LogTable) -> Result<CosigningConfig, ConfigError> {
    let witnesses =
        table.witnesses_file.as_deref().map(|path| policy_file("log.witnesses_file", path)).transpose()?;
    let auditors =
        table.auditors_file.as_deref().map(|path| policy_file("log.auditors_file", path)).transpose()?;
    let (mode, interval) = match table.publish.unwrap_or_default() {
        Publish::BestEffort => (Mode::BestEffort, Duration::from_secs(10)),
        // A first pull waits for the next round, and clients do not wait for ten seconds.
        Publish::Require => (Mode::Require, Duration::from_secs(1)),
    };
    if mode == Mode::Require && witnesses.is_none() {
        return Err(ConfigError::Refused {
            message: "`log.publish = \"require\"` demands cosignatures, but nobody is asked for them"
                .to_owned(),
            hint: "name witnesses with `log.witnesses_file`".to_owned(),
        });
    }
    if let Some((_, policy)) = witnesses.as_ref().filter(|_| mode == Mode::Require) {
        let asked = policy.witnesses().filter(|(_, _, url)| url.is_some()).map(|(name, ..)| name);
        if !policy.is_satisfied_by(&asked.collect()) {
            return Err(ConfigError::Refused {
                message: "with `log.publish = \"require\"` nothing would ever be published, because the witnesses that \
                          can be asked are no quorum"
                    .to_owned(),
                hint: "give the witnesses in `log.witnesses_file` their URLs".to_owned(),
            });
        }
    }
    let none = witnesses.is_none() && auditors.is_none();
    Ok(CosigningConfig {
        policies: (!none).then_some(Policies { witnesses, auditors }),
        mode,
        interval: table.witness_interval.map_or(interval, |span| span.0),
    })
}

/// A `[[policy]]` table; `number` counts from 1.
fn rule(table: PolicyTable, number: usize) -> Result<Rule, ConfigError> {
    let wrong = |why| ConfigError::Rule { number, why };
    let matcher = match (table.pattern, table.match_regex) {
        (Some(pattern), None) => Matcher::Glob(pattern),
        (None, Some(expression)) => Matcher::Regex(Box::new(expression)),
        _ => return Err(wrong("it needs either `match` or `match_regex`")),
    };
    if table.on_young.is_some() && table.min_age.is_none() {
        return Err(wrong("`on_young` says nothing without `min_age`"));
    }
    if table.min_age.is_some() && matches!(table.action, Action::Pass | Action::Deny) {
        return Err(wrong("`min_age` counts from the record of a digest, and `pass` and `deny` make none"));
    }
    let terms = Terms {
        on_move: table.on_move,
        on_gone: table.on_gone,
        mode: table.mode,
        min_age: table.min_age.map(|span| span.0),
        on_young: table.on_young.unwrap_or_default(),
    };
    Ok(Rule { matcher, action: table.action, terms })
}

fn policy_file(key: &'static str, path: &Path) -> Result<(PathBuf, tlog::Policy), ConfigError> {
    let unusable = |why: String| ConfigError::PolicyFile { key, path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let policy = text.parse().map_err(|error: tlog::Error| unusable(error.to_string()))?;
    Ok((path.to_owned(), policy))
}

fn limits(table: &LimitsTable, ephemeral: bool) -> Limits {
    const MIB: u64 = 1024 * 1024;
    let unless = match ephemeral {
        // Often in memory, as on Cloud Run, and of some hundred megabytes.
        true => Budgets { min_free: 64 * MIB, manifest_bytes_per_day: 128 * MIB, ..Budgets::default() },
        false => Budgets::default(),
    };
    let rate = table.requests_per_client_per_second.unwrap_or(0);
    let bytes = |size: &Option<ByteSize>, unless| size.as_ref().map_or(unless, |size| size.0);
    Limits {
        budgets: Budgets {
            new_records_per_client_per_day: table
                .new_records_per_client_per_day
                .unwrap_or(unless.new_records_per_client_per_day),
            new_records_per_upstream_per_day: table
                .new_records_per_upstream_per_day
                .unwrap_or(unless.new_records_per_upstream_per_day),
            manifest_bytes_per_day: bytes(&table.manifest_bytes_per_day, unless.manifest_bytes_per_day),
            moved_per_tag_per_day: table.moved_per_tag_per_day.unwrap_or(unless.moved_per_tag_per_day),
            seen_per_tag_per_day: table.seen_per_tag_per_day.unwrap_or(unless.seen_per_tag_per_day),
            min_free: bytes(&table.min_free, unless.min_free),
        },
        connections: table.connections.unwrap_or(4_096),
        connections_per_client: table.connections_per_client.unwrap_or(1_024),
        untaken: bytes(&table.untaken, 512 * MIB),
        // 32 of the largest manifests, or a blob that is passed on for each connection.
        untaken_per_client: bytes(&table.untaken_per_client, 128 * MIB),
        requests_per_client_per_second: rate,
        requests_per_client_burst: table.requests_per_client_burst.unwrap_or(rate.saturating_mul(10)).max(1),
    }
}

fn tls(table: TlsTable) -> Result<Option<TlsConfig>, ConfigError> {
    match (table.cert_file, table.key_file) {
        (Some(cert_file), Some(key_file)) => Ok(Some(TlsConfig { cert_file, key_file })),
        (None, None) => Ok(None),
        (cert_file, _) => {
            let (given, missing) =
                if cert_file.is_some() { ("cert_file", "key_file") } else { ("key_file", "cert_file") };
            Err(ConfigError::Refused {
                message: format!("`tls.{given}` is set and `tls.{missing}` is not"),
                hint: format!("add `{missing}` to `[tls]`"),
            })
        }
    }
}

/// `localhost` for loopback, because that is what `docker pull` takes without TLS.
fn default_url(listen: SocketAddr, tls: bool) -> Result<Url, ConfigError> {
    let scheme = if tls { "https" } else { "http" };
    let host = if listen.ip().is_loopback() || listen.ip().is_unspecified() {
        format!("localhost:{}", listen.port())
    } else {
        listen.to_string()
    };
    parse_url(&format!("{scheme}://{host}")).map_err(|message| ConfigError::Flag { flag: "listen", message })
}

/// A name that nobody else on this machine can have taken before; it is made, by its owner alone, at the start.
fn ephemeral_dir() -> Result<PathBuf, ConfigError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ConfigError::Refused {
        message: format!("`data_dir = \"ephemeral\"` needs random bytes, and there are none: {error}"),
        hint: "name a directory".to_owned(),
    })?;
    Ok(std::env::temp_dir().join(format!("tlogistry-{:032x}", u128::from_ne_bytes(bytes))))
}

fn default_data_dir(environment: &Environment<'_>) -> Option<PathBuf> {
    let set = |variable| environment(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("STATE_DIRECTORY")
        .or_else(|| set("XDG_STATE_HOME").map(|home| home.join("tlogistry")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/tlogistry")))
}
