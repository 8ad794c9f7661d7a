//! Prints a resolved configuration as TOML that could be read again, with the origin of each value.
//!
//! Passwords are never printed. Knows no layers.

use std::fmt::{self, Display, Write};

use ledger::Mode;
use sigstore::{IdentitySource, SignerSource, TrustSource};

use super::values::{ByteSize, Span};
use super::{BlobMode, Config, LogFormat, RefusalCode, SigstoreMode, Supersede};
use crate::policy::{Matcher, OnYoung};

impl Config {
    /// TOML with `# origin` behind each line.
    pub fn show(&self) -> String {
        let mut page = Page { text: String::new(), config: self };
        page.text("listen", self.listen);
        page.text("public_url", &self.public_url);
        page.text("data_dir", self.data_dir.display());
        page.text("recheck", Span(self.recheck));
        page.text("recheck_timeout", Span(self.recheck_timeout));
        let policy = self.policy.defaults();
        page.text("on_move", policy.on_move);
        page.text("on_gone", policy.on_gone);
        page.text("mode", policy.mode);
        page.text("refusal_code", self.refusal_code);
        page.text("blobs", self.blobs);
        page.bare("public", self.public);
        page.bare("anonymous", self.anonymous);
        page.bare("publish_names", self.publish_names);
        if let Some(address) = self.metrics_listen {
            page.text("metrics_listen", address);
        }
        page.text("upstreams_mode", self.listing.mode());
        if !self.listing.allowed().is_empty() {
            page.list("allow", self.listing.allowed());
        }
        if !self.trusted_proxies.networks().is_empty() {
            page.list("trusted_proxies", self.trusted_proxies.networks());
            page.text("client_address_header", self.trusted_proxies.header());
        }
        page.text("log_format", self.log_format);
        if let Some(tls) = &self.tls {
            page.table("tls");
            page.text("tls.cert_file", tls.cert_file.display());
            page.text("tls.key_file", tls.key_file.display());
        }
        if let Some(auth) = &self.auth {
            page.table("auth");
            for (key, file) in
                [("auth.users_file", &auth.users_file), ("auth.tokens_file", &auth.tokens_file)]
            {
                if let Some(path) = file {
                    page.text(key, path.display());
                }
            }
        }
        page.table("log");
        page.text("log.origin", &self.log.origin);
        page.text("log.supersede", self.log.supersede);
        let in_data_dir = |name| self.data_dir.join(name);
        page.text(
            "log.key_file",
            self.log.key_file.clone().unwrap_or_else(|| in_data_dir("log.key")).display(),
        );
        if let Some(path) = &self.log.next_key_file {
            page.text("log.next_key_file", path.display());
        }
        page.text(
            "log.guard_file",
            self.log.guard_file.clone().unwrap_or_else(|| in_data_dir("guard")).display(),
        );
        if let Some(policies) = &self.cosigning.policies {
            for (key, file) in
                [("log.witnesses_file", &policies.witnesses), ("log.auditors_file", &policies.auditors)]
            {
                if let Some((path, _)) = file {
                    page.text(key, path.display());
                }
            }
            page.text(
                "log.publish",
                if self.cosigning.mode == Mode::Require { "require" } else { "best-effort" },
            );
            page.text("log.witness_interval", Span(self.cosigning.interval));
        }
        let budgets = &self.limits.budgets;
        page.table("limits");
        page.bare("limits.new_records_per_client_per_day", budgets.new_records_per_client_per_day);
        page.bare("limits.new_records_per_upstream_per_day", budgets.new_records_per_upstream_per_day);
        page.text("limits.manifest_bytes_per_day", ByteSize(budgets.manifest_bytes_per_day));
        page.bare("limits.moved_per_tag_per_day", budgets.moved_per_tag_per_day);
        page.bare("limits.seen_per_tag_per_day", budgets.seen_per_tag_per_day);
        page.text("limits.min_free", ByteSize(budgets.min_free));
        page.bare("limits.connections", self.limits.connections);
        page.bare("limits.connections_per_client", self.limits.connections_per_client);
        page.text("limits.untaken", ByteSize(self.limits.untaken));
        page.text("limits.untaken_per_client", ByteSize(self.limits.untaken_per_client));
        page.bare("limits.requests_per_client_per_second", self.limits.requests_per_client_per_second);
        if self.limits.requests_per_client_per_second != 0 {
            page.bare("limits.requests_per_client_burst", self.limits.requests_per_client_burst);
        }
        page.sigstore();
        page.upstreams();
        page.policy();
        page.text
    }
}

struct Page<'a> {
    text: String,
    config: &'a Config,
}

impl Page<'_> {
    /// What decides who signs and where; times and budgets only where they are set.
    fn sigstore(&mut self) {
        let Some(config) = &self.config.sigstore else { return };
        self.table("sigstore");
        let mode = if config.mode == SigstoreMode::PerTag { "per-tag" } else { "anchor" };
        self.text("sigstore.mode", mode);
        let settings = &config.settings;
        if let Some(identity) = &settings.identity {
            self.text("sigstore.identity", identity.subject.as_str());
            self.text("sigstore.issuer", &identity.issuer);
        }
        match &settings.signer {
            SignerSource::ManagedKey(path) => self.text("sigstore.key_file", path.display()),
            SignerSource::Workload(IdentitySource::File(path)) => {
                self.text("sigstore.token_file", path.display())
            }
            SignerSource::Workload(IdentitySource::Command(words)) => {
                self.list("sigstore.token_command", words);
            }
            SignerSource::Workload(_) => {}
        }
        match &settings.trust {
            TrustSource::Files { trusted_root, signing_config } => {
                self.text("sigstore.trusted_root", trusted_root.display());
                self.text("sigstore.signing_config", signing_config.display());
            }
            TrustSource::Tuf { repository: Some(repository), .. } => {
                self.text("sigstore.tuf_mirror", &repository.url);
                self.text("sigstore.tuf_root", repository.root.display());
            }
            TrustSource::Tuf { repository: None, .. } => {}
        }
        for (key, url) in
            [("sigstore.fulcio_url", &settings.fulcio_url), ("sigstore.rekor_url", &settings.rekor_url)]
        {
            if let Some(url) = url {
                self.text(key, url);
            }
        }
        self.text("sigstore.audience", &settings.audience);
        self.text("sigstore.fulcio_timeout", Span(settings.fulcio_timeout));
        self.text("sigstore.rekor_timeout", Span(settings.rekor_timeout));
        self.bare("sigstore.store_attestation", settings.store_attestation);
        self.bare("sigstore.search_entries", settings.search.entries);
        self.text("sigstore.search_time", Span(settings.search.time));
        if config.mode == SigstoreMode::Anchor {
            self.text("sigstore.anchor_every", Span(config.anchor_every));
        }
    }

    fn table(&mut self, name: impl Display) {
        self.line(format_args!("\n[{name}]"));
    }

    /// A string value.
    fn text(&mut self, key: &str, value: impl Display) {
        self.bare(key, toml::Value::String(value.to_string()));
    }

    /// A value that is not a string.
    fn bare(&mut self, key: &str, value: impl Display) {
        let last = key.rsplit('.').next().unwrap_or(key);
        let assignment = format!("{last} = {value}");
        let origin = self.config.origins.of(key);
        self.line(format_args!("{assignment:<48} # {origin}"));
    }

    /// A list of strings.
    fn list<T: Display>(&mut self, key: &str, values: &[T]) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        self.bare(key, toml::Value::from(values));
    }

    fn upstreams(&mut self) {
        for (host, upstream) in &self.config.upstreams {
            self.table(format_args!("upstreams.\"{host}\""));
            if let Some(url) = &upstream.url {
                self.line(format_args!("url = \"{url}\""));
            }
            if let Some((username, _)) = &upstream.credentials {
                self.line(format_args!("username = {}", toml::Value::String(username.clone())));
                self.line(format_args!("# a password is set and not shown"));
            }
            for (key, path) in [
                ("docker_config", &upstream.docker_config),
                ("token_file", &upstream.token_file),
                ("ca_file", &upstream.ca_file),
            ] {
                if let Some(path) = path {
                    self.line(format_args!("{key} = {}", toml::Value::String(path.display().to_string())));
                }
            }
            if let Some(number) = upstream.max_concurrency {
                self.line(format_args!("max_concurrency = {number}"));
            }
            if let Some(proxy) = &upstream.proxy {
                self.line(format_args!("proxy = \"{}\"", proxy.url));
                self.line(format_args!("proxy_without_address_filter = true"));
                if let Some((username, _)) = &proxy.credentials {
                    self.line(format_args!("proxy_username = {}", toml::Value::String(username.clone())));
                    self.line(format_args!("# a password of the proxy is set and not shown"));
                }
            }
            for (key, hosts) in
                [("token_hosts", &upstream.token_hosts), ("redirect_hosts", &upstream.redirect_hosts)]
            {
                if !hosts.is_empty() {
                    self.line(format_args!("{key} = {}", toml::Value::from(hosts.clone())));
                }
            }
        }
    }

    fn policy(&mut self) {
        for rule in self.config.policy.rules() {
            self.line(format_args!("\n[[policy]]"));
            match &rule.matcher {
                Matcher::Glob(pattern) => self.line(format_args!("match = \"{pattern}\"")),
                Matcher::Regex(expression) => {
                    self.line(format_args!("match_regex = {}", toml::Value::from(expression.to_string())));
                }
            }
            self.line(format_args!("action = \"{}\"", rule.action));
            let terms = &rule.terms;
            if let Some(on_move) = terms.on_move {
                self.line(format_args!("on_move = \"{on_move}\""));
            }
            if let Some(on_gone) = terms.on_gone {
                self.line(format_args!("on_gone = \"{on_gone}\""));
            }
            if let Some(mode) = terms.mode {
                self.line(format_args!("mode = \"{mode}\""));
            }
            if let Some(min_age) = terms.min_age {
                self.line(format_args!("min_age = \"{}\"", Span(min_age)));
            }
            if terms.on_young != OnYoung::default() {
                self.line(format_args!("on_young = \"{}\"", terms.on_young));
            }
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _infallible = writeln!(self.text, "{line}");
    }
}

impl Display for BlobMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redirect => "redirect",
            Self::Stream => "stream",
            Self::Deny => "deny",
        })
    }
}

impl Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::Denied => "DENIED",
        })
    }
}

impl Display for Supersede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Operator => "operator",
        })
    }
}

impl Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}
