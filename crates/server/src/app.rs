//! What every handler shares: configuration, ledger, upstream client, and what is in flight.
//!
//! Built once at start-up; handlers get it whole. Knows no HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use ledger::{Clock, Ledger, Recorded};
use oci::{ManifestSelector, Name, RegistryHost, Tag};
use taglog::TagKey;
use witness::feeder::Counters;

use crate::admin::Command;
use crate::auth::Auth;
use crate::config::Config;
use crate::edge::buckets::Buckets;
use crate::edge::certificates::Certificates;
use crate::edge::crowd::Crowd;
use crate::edge::request_id::RequestIds;
use crate::edge::untaken::Untaken;
use crate::error::Error;
use crate::evidence::Records;
use crate::resolve::{Ask, Flights, Freshness, Question, Served};
use crate::telemetry::metrics::Metrics;

/// Checks of tags under way at once, abandoned ones too; each takes some 3 kB.
const MAX_FLIGHTS: usize = 16_384;

/// The running service.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) ledger: Ledger,
    /// The time that the ledger stamps records with.
    pub(crate) clock: Clock,
    pub(crate) upstream: upstream::Client,
    pub(crate) flights: Flights<Question, Result<Served, Error>>,
    pub(crate) freshness: Freshness,
    pub(crate) metrics: Metrics,
    pub(crate) request_ids: RequestIds,
    /// Held while cosignatures that an auditor brought are stored.
    pub(crate) collecting: tokio::sync::Mutex<()>,
    /// How long a pull waits for a published checkpoint that covers its record.
    pub(crate) cover_timeout: Duration,
    /// Leaves that were there before any checkpoint satisfied the policy that demands witnesses, which may be a new one:
    /// it takes no recorded tag away.
    pub(crate) before_policy: u64,
    /// Since when the newest records wait for cosignatures, as far as anybody asked.
    pub(crate) uncovered_since: std::sync::Mutex<Option<Instant>>,
    /// What the witnesses did so far.
    pub(crate) witnesses: Option<Counters>,
    /// The log's origin, as the value of `Tlog-Log`.
    pub(crate) origin_header: HeaderValue,
    /// Records in public, where there are any.
    pub(crate) evidence: Option<Arc<Records>>,
    /// Who may pull; nothing where everybody may.
    pub(crate) auth: Option<Auth>,
    /// What is shown to clients that speak TLS; nothing where they do not.
    pub(crate) tls: Option<Certificates>,
    /// How many connections each client has.
    pub(crate) crowd: Arc<Crowd>,
    /// How many requests each client may make; nothing where that is not limited.
    pub(crate) rates: Option<Buckets>,
    /// How much of their answers clients have not taken.
    pub(crate) untaken: Untaken,
    /// `public_url` without a slash at its end.
    base_url: String,
}

/// What the service is put together from, besides its configuration.
pub(crate) struct Parts {
    pub(crate) ledger: Ledger,
    pub(crate) upstream: upstream::Client,
    pub(crate) evidence: Option<Arc<Records>>,
    pub(crate) witnesses: Option<Counters>,
    pub(crate) tls: Option<Certificates>,
    pub(crate) auth: Option<Auth>,
    pub(crate) crowd: Crowd,
    pub(crate) clock: Clock,
    pub(crate) instants: upstream::Clock,
}

impl App {
    /// Puts the parts together.
    pub(crate) fn new(config: Config, parts: Parts, cover_timeout: Duration) -> Arc<Self> {
        let Parts { ledger, upstream, evidence, witnesses, tls, auth, crowd, clock, instants } = parts;
        let limits = &config.limits;
        let rate = std::num::NonZeroU32::new(limits.requests_per_client_per_second);
        let rates = rate.map(|rate| {
            Buckets::new(Duration::from_secs(1) / rate.get(), limits.requests_per_client_burst, instants)
        });
        let origin_header = HeaderValue::from_str(ledger.origin())
            .unwrap_or_else(|_never| HeaderValue::from_static("invalid"));
        Arc::new(Self {
            flights: Flights::new(MAX_FLIGHTS),
            freshness: Freshness::new(config.recheck),
            metrics: Metrics::new(),
            request_ids: RequestIds::new(),
            cover_timeout,
            collecting: tokio::sync::Mutex::default(),
            before_policy: if ledger.published().is_err() { ledger.health().newest } else { 0 },
            uncovered_since: std::sync::Mutex::default(),
            evidence,
            witnesses,
            auth,
            tls,
            crowd: Arc::new(crowd),
            rates,
            untaken: Untaken::new(config.limits.untaken, config.limits.untaken_per_client),
            clock,
            base_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            origin_header,
            config,
            ledger,
            upstream,
        })
    }

    /// The record of a tag.
    pub(crate) fn lookup(&self, key: &TagKey, ask: &Ask) -> Result<Option<Arc<Recorded>>, Error> {
        self.ledger.lookup(key).map_err(|source| ask.store(source))
    }

    /// An operator changed what a tag means: a check of what it meant before is worth nothing.
    pub(crate) fn changed(&self, command: &Command) {
        let (Command::Supersede { tag, .. } | Command::Thaw { tag, .. }) = command;
        self.freshness.forget(&TagKey::of(&tag.name, &tag.tag));
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Leaves of the published log; 0 while nothing is published.
    pub(crate) fn published_size(&self) -> u64 {
        self.ledger.published().map_or(0, |published| published.size)
    }

    /// Where a proof of what the log says of a tag is served.
    pub(crate) fn proof_url(&self, name: &Name, tag: &Tag) -> String {
        format!("{}/proof/{name}:{tag}", self.base_url)
    }

    /// Where a proof that a leaf is in the log is served.
    pub(crate) fn entry_proof_url(&self, index: u64) -> String {
        format!("{}/log/proof/{index}", self.base_url)
    }

    /// The page of a tag.
    pub(crate) fn page_url(&self, name: &Name, tag: &Tag) -> String {
        format!("{}/t/{name}:{tag}", self.base_url)
    }

    /// What upstream says a tag is, without its bytes.
    pub(crate) async fn head_tag(
        &self,
        name: &Name,
        selector: &ManifestSelector,
    ) -> Result<upstream::Head, upstream::Error> {
        let answer = self.upstream.head_manifest(name, selector).await;
        self.count(name.host(), "head", answer.as_ref().err());
        answer
    }

    /// A tag's manifest, hashed.
    pub(crate) async fn fetch_tag(
        &self,
        name: &Name,
        tag: &Tag,
    ) -> Result<upstream::FetchedManifest, upstream::Error> {
        self.fetch(name, &ManifestSelector::Tag(tag.clone())).await
    }

    /// A manifest, hashed.
    pub(crate) async fn fetch(
        &self,
        name: &Name,
        selector: &ManifestSelector,
    ) -> Result<upstream::FetchedManifest, upstream::Error> {
        let answer = self.upstream.manifest(name, selector).await;
        self.count(name.host(), "manifest", answer.as_ref().err());
        answer
    }

    /// Counts a question to upstream and how it ended.
    pub(crate) fn count(&self, host: &RegistryHost, kind: &'static str, error: Option<&upstream::Error>) {
        let code = error.map_or("ok", upstream::Error::label);
        self.metrics.asked(self.upstream.label(host), kind, code);
    }
}
