//! `[sigstore]`: whether records are logged in Rekor as well, as whom, and whom that is believed of.
//!
//! Honours the original's variables (`REKOR_URL`, `FULCIO_URL`, `AUDIENCE`, `REKOR_TIMEOUT`, `FULCIO_TIMEOUT`), and finds
//! the source of identity tokens as cosign does. Asks nobody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sigstore::{
    Former, Identity, IdentitySource, SearchBudget, Settings, SignerSource, Subject, TrustSource,
    TufRepository,
};
use url::Url;

use super::environment::Environment;
use super::error::ConfigError;
use super::file::SigstoreTable;
use super::layers::parse_url;
use super::values::Span;

/// Where Kubernetes puts a token for it, as cosign expects.
const KUBERNETES_TOKEN: &str = "/var/run/sigstore/cosign/oidc-token";
const GOOGLE_METADATA: &str = "metadata.google.internal";
const PRIVATE: &str = "name both for a private instance, none for the public one";

/// What is logged in Rekor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigstoreMode {
    /// Nothing.
    #[default]
    Off,
    /// Each record of a frozen tag, before it is served.
    PerTag,
    /// Checkpoints of the log.
    Anchor,
}

/// `[sigstore]`, where its mode is not `off`.
#[derive(Clone, Debug)]
pub struct SigstoreConfig {
    /// `per-tag` or `anchor`.
    pub mode: SigstoreMode,
    /// For the signer.
    pub settings: Settings,
    /// Between two checkpoints that are logged.
    pub anchor_every: Duration,
    /// Names of other logs under this identity, whose records are told from ours.
    pub former_origins: Vec<String>,
    /// What is logged can be searched for, as far as the configuration tells: a Rekor v2 has no index.
    pub searchable: bool,
}

/// One of `adopt`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adopted {
    identity: String,
    issuer: String,
}

/// One of `former`: `identity` and `issuer`, or `key_file`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum FormerSigner {
    Workload(Adopted),
    Key(FormerKey),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormerKey {
    /// The public key, as PEM.
    key_file: PathBuf,
}

impl From<Adopted> for Identity {
    fn from(named: Adopted) -> Self {
        Self { subject: Subject::of_text(&named.identity), issuer: named.issuer }
    }
}

impl From<FormerSigner> for Former {
    fn from(signer: FormerSigner) -> Self {
        match signer {
            FormerSigner::Workload(named) => Self::Workload(named.into()),
            FormerSigner::Key(key) => Self::Key(key.key_file),
        }
    }
}

pub(super) fn sigstore(
    table: SigstoreTable,
    data_dir: &Path,
    environment: &Environment<'_>,
) -> Result<Option<SigstoreConfig>, ConfigError> {
    let mode = table.mode.unwrap_or_default();
    if mode == SigstoreMode::Off {
        return Ok(None);
    }
    let set = |variable: &str| environment(variable).filter(|value| !value.is_empty());
    let url = |given: Option<Url>, variable: &'static str| match (given, set(variable)) {
        (Some(url), _) => Ok(Some(url)),
        (None, Some(text)) => {
            parse_url(&text).map(Some).map_err(|message| ConfigError::Environment { variable, message })
        }
        (None, None) => Ok(None),
    };
    let span = |given: Option<Span>, variable: &'static str, default: u64| match (given, set(variable)) {
        (Some(span), _) => Ok(span.0),
        (None, Some(text)) => text
            .parse::<Span>()
            .map(|span| span.0)
            .map_err(|error| ConfigError::Environment { variable, message: error.to_string() }),
        (None, None) => Ok(Duration::from_secs(default)),
    };
    let files =
        pair((table.trusted_root, table.signing_config), ["trusted_root", "signing_config"], PRIVATE)?;
    let tuf = pair((table.tuf_mirror, table.tuf_root), ["tuf_mirror", "tuf_root"], PRIVATE)?;
    let trust = match (files, tuf) {
        (Some((trusted_root, signing_config)), None) => TrustSource::Files { trusted_root, signing_config },
        (None, tuf) => TrustSource::Tuf {
            cache_dir: data_dir.join("sigstore"),
            repository: tuf.map(|(url, root)| TufRepository { url, root }),
        },
        (Some(_), Some(_)) => {
            return refused(
                "`[sigstore]` has both `trusted_root` and `tuf_mirror`",
                "keep one: files, or a TUF repository",
            );
        }
    };
    let learned = "name both, or none to have them learned from the first identity token";
    let identity = pair((table.identity, table.issuer), ["identity", "issuer"], learned)?
        .map(|(subject, issuer)| Identity { subject: Subject::of_text(&subject), issuer });
    let signer = signer(table.key_file, table.token_file, table.token_command, &set)?;
    let search = SearchBudget::default();
    let rekor_url = url(table.rekor_url, "REKOR_URL")?;
    Ok(Some(SigstoreConfig {
        mode,
        former_origins: table.former_origins,
        searchable: rekor_url.is_some() || has_an_index(&trust),
        settings: Settings {
            signer,
            identity,
            former: table.former.into_iter().map(Former::from).collect(),
            trust,
            fulcio_url: url(table.fulcio_url, "FULCIO_URL")?,
            rekor_url,
            audience: table.audience.or_else(|| set("AUDIENCE")).unwrap_or_else(|| "sigstore".to_owned()),
            fulcio_timeout: span(table.fulcio_timeout, "FULCIO_TIMEOUT", 30)?,
            rekor_timeout: span(table.rekor_timeout, "REKOR_TIMEOUT", 30)?,
            // Known when the log is open.
            log_origin: None,
            heads: Some(data_dir.join("sigstore").join("heads.json")),
            store_attestation: table.store_attestation.unwrap_or(false),
            search: SearchBudget {
                entries: table.search_entries.unwrap_or(search.entries),
                time: table.search_time.map_or(search.time, |span| span.0),
            },
            adopt_original: table.adopt.into_iter().map(Identity::from).collect(),
        },
        anchor_every: table.anchor_every.map_or(Duration::from_secs(60 * 60), |span| span.0),
    }))
}

/// Whether a Rekor v1 is written to: where the signing configuration names a v2 as well, and no end of it, that is written
/// to. What cannot be read is told by whoever uses it.
fn has_an_index(trust: &TrustSource) -> bool {
    let TrustSource::Files { signing_config, .. } = trust else { return true };
    let text = std::fs::read_to_string(signing_config).ok();
    let json = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let logs = json.as_ref().and_then(|json| json.get("rekorTlogUrls")?.as_array());
    let is_newer = |log: &serde_json::Value| {
        log.get("majorApiVersion").and_then(serde_json::Value::as_u64).is_some_and(|version| version > 1)
            && log.pointer("/validFor/end").is_none()
    };
    !logs.is_some_and(|logs| logs.iter().any(is_newer))
}

/// Two keys that stand together or not at all.
fn pair<A, B>(
    (first, second): (Option<A>, Option<B>),
    [named, other]: [&str; 2],
    hint: &str,
) -> Result<Option<(A, B)>, ConfigError> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        _ => refused(&format!("`[sigstore]` has one of `{named}` and `{other}` without the other"), hint),
    }
}

/// What is configured; else what the platform offers.
fn signer(
    key_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    token_command: Option<Vec<String>>,
    set: &dyn Fn(&str) -> Option<String>,
) -> Result<SignerSource, ConfigError> {
    let given = [key_file.is_some(), token_file.is_some(), token_command.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return refused(
            "`[sigstore]` has more than one of `key_file`, `token_file` and `token_command`",
            "keep one",
        );
    }
    if let Some(path) = key_file {
        return Ok(SignerSource::ManagedKey(path));
    }
    let source = if let Some(path) = token_file {
        IdentitySource::File(path)
    } else if let Some(words) = token_command {
        IdentitySource::Command(words)
    } else if let Some(token) = set("SIGSTORE_ID_TOKEN") {
        IdentitySource::Token(token.into())
    } else if let (Some(url), Some(token)) =
        (set("ACTIONS_ID_TOKEN_REQUEST_URL"), set("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
    {
        let variable = "ACTIONS_ID_TOKEN_REQUEST_URL";
        let url = Url::parse(&url)
            .map_err(|error| ConfigError::Environment { variable, message: error.to_string() })?;
        IdentitySource::GitHubActions { url, token: token.into() }
    } else if Path::new(KUBERNETES_TOKEN).exists() {
        IdentitySource::File(KUBERNETES_TOKEN.into())
    } else {
        let host = set("GCE_METADATA_HOST").unwrap_or_else(|| GOOGLE_METADATA.to_owned());
        IdentitySource::GoogleMetadata { host }
    };
    Ok(SignerSource::Workload(source))
}

fn refused<T>(message: &str, hint: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Refused { message: message.to_owned(), hint: hint.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Option<SigstoreConfig>, ConfigError> {
        let table: SigstoreTable = toml::from_str(text).unwrap();
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        sigstore(table, Path::new("/data"), &environment)
    }

    fn per_tag(text: &str, variables: &[(&str, &str)]) -> Settings {
        load(&format!("mode = \"per-tag\"\n{text}"), variables).unwrap().unwrap().settings
    }

    #[test]
    fn nothing_is_logged_unless_somebody_says_so() {
        assert!(load("", &[("REKOR_URL", "https://rekor.example")]).unwrap().is_none());
        assert!(load("mode = \"off\"", &[]).unwrap().is_none());
    }

    #[test]
    fn the_variables_of_the_original_count_where_the_file_is_silent() {
        let variables = [
            ("REKOR_URL", "https://rekor.example"),
            ("FULCIO_URL", "https://fulcio.example"),
            ("AUDIENCE", "tlog"),
            ("REKOR_TIMEOUT", "7s"),
            ("FULCIO_TIMEOUT", "8s"),
        ];
        let settings = per_tag("", &variables);
        assert_eq!(settings.rekor_url.unwrap().as_str(), "https://rekor.example/");
        assert_eq!(settings.fulcio_url.unwrap().as_str(), "https://fulcio.example/");
        assert_eq!(settings.audience, "tlog");
        assert_eq!((settings.rekor_timeout.as_secs(), settings.fulcio_timeout.as_secs()), (7, 8));
        let settings = per_tag("rekor_url = \"https://other.example\"\nrekor_timeout = \"9s\"", &variables);
        assert_eq!(settings.rekor_url.unwrap().as_str(), "https://other.example/");
        assert_eq!(settings.rekor_timeout.as_secs(), 9);
        for (variable, value) in [("REKOR_URL", "rekor"), ("REKOR_TIMEOUT", "soon")] {
            let error = load("mode = \"per-tag\"", &[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable), "{error}");
        }
    }

    #[test]
    fn tokens_come_from_what_is_named_and_else_from_what_the_platform_offers() {
        let github = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://actions.example/token"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret"),
        ];
        let gitlab = ("SIGSTORE_ID_TOKEN", "jwt");
        let source = |text: &str, variables: &[(&str, &str)]| match per_tag(text, variables).signer {
            SignerSource::Workload(source) => source,
            SignerSource::ManagedKey(path) => panic!("{path:?}"),
        };
        let all = [gitlab, github[0], github[1]];
        assert!(
            matches!(source("token_file = \"/t\"", &all), IdentitySource::File(path) if path == Path::new("/t"))
        );
        assert!(matches!(source("token_command = [\"x\"]", &all), IdentitySource::Command(_)));
        assert!(matches!(source("", &all), IdentitySource::Token(_)));
        assert!(matches!(source("", &github), IdentitySource::GitHubActions { .. }));
        assert!(
            matches!(source("", &[]), IdentitySource::GoogleMetadata { host } if host == GOOGLE_METADATA)
        );
        let key = per_tag("key_file = \"/k\"", &all).signer;
        assert!(matches!(key, SignerSource::ManagedKey(_)), "{key:?}");
        assert!(!format!("{:?}", source("", &github)).contains("secret"));
    }

    #[test]
    fn trust_comes_from_files_from_a_repository_or_from_the_public_one() {
        let trust = |text: &str| per_tag(text, &[]).trust;
        let TrustSource::Tuf { cache_dir, repository: None } = trust("") else { panic!() };
        assert_eq!(cache_dir, Path::new("/data/sigstore"));
        let private = trust("tuf_mirror = \"https://tuf.example\"\ntuf_root = \"/r\"");
        assert!(matches!(private, TrustSource::Tuf { repository: Some(_), .. }));
        let files = trust("trusted_root = \"/r\"\nsigning_config = \"/s\"");
        assert!(matches!(files, TrustSource::Files { .. }));
    }

    #[test]
    fn half_a_pair_and_two_of_a_kind_are_refused_with_the_way_out() {
        for (text, named) in [
            ("trusted_root = \"/r\"", "signing_config"),
            ("signing_config = \"/s\"", "trusted_root"),
            ("tuf_mirror = \"https://tuf.example\"", "tuf_root"),
            ("tuf_root = \"/r\"", "tuf_mirror"),
            (
                "trusted_root = \"/r\"\nsigning_config = \"/s\"\ntuf_mirror = \"https://t.example\"\ntuf_root = \"/r\"",
                "tuf_mirror",
            ),
            ("identity = \"a@b.example\"", "issuer"),
            ("key_file = \"/k\"\ntoken_file = \"/t\"", "token_file"),
        ] {
            let error = load(&format!("mode = \"per-tag\"\n{text}"), &[]).unwrap_err();
            assert!(error.to_string().contains(&format!("`{named}`")), "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
