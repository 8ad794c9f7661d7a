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
use crate::config::Config;
use crate::edge::request_id::RequestIds;
use crate::error::Error;
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
    /// `public_url` without a slash at its end.
    base_url: String,
}

impl App {
    /// Puts the parts together.
    pub(crate) fn new(
        config: Config,
        ledger: Ledger,
        upstream: upstream::Client,
        witnesses: Option<Counters>,
        cover_timeout: Duration,
        clock: Clock,
    ) -> Arc<Self> {
        let origin_header = HeaderValue::from_str(ledger.origin())
            .unwrap_or_else(|_never| HeaderValue::from_static("invalid"));
        Arc::new(Self {
            flights: Flights::new(MAX_FLIGHTS),
            freshness: Freshness::new(config.recheck),
            metrics: Metrics::new(),
            request_ids: RequestIds::new(),
            cover_timeout,
            clock,
            collecting: tokio::sync::Mutex::default(),
            before_policy: if ledger.published().is_err() { ledger.health().newest } else { 0 },
            uncovered_since: std::sync::Mutex::default(),
            witnesses,
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

    /// Leaves of the published log; 0 while nothing is published.
    pub(crate) fn published_size(&self) -> u64 {
        self.ledger.published().map_or(0, |published| published.size)
    }

    /// Where a proof of what the log says of a tag is served.
    pub(crate) fn proof_url(&self, name: &Name, tag: &Tag) -> String {
        format!("{}/proof/{name}:{tag}", self.base_url)
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
