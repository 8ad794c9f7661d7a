//! Counters and histograms, in the Prometheus text format.
//!
//! The `upstream` label is a configured name or `other`, so that no client can make up labels.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use witness::feeder::Counts;

/// What a request was for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Ping,
    Tag,
    Digest,
    Blob,
    Tags,
    Referrers,
    Log,
    Proof,
    Page,
    Other,
}

/// How it ended, for a person who watches a graph.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Outcome {
    Ok,
    FirstSeen,
    Warned,
    Refused,
    ClientError,
    UpstreamError,
    Unavailable,
    Internal,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Tag => "tag",
            Self::Digest => "digest",
            Self::Blob => "blob",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Log => "log",
            Self::Proof => "proof",
            Self::Page => "page",
            Self::Other => "other",
        }
    }
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::FirstSeen => "first_seen",
            Self::Warned => "warned",
            Self::Refused => "refused",
            Self::ClientError => "client_error",
            Self::UpstreamError => "upstream_error",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct RequestLabels {
    upstream: String,
    kind: Kind,
    outcome: Outcome,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct KindLabel {
    kind: Kind,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
    kind: &'static str,
    code: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct PolicyLabel {
    policy: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct LedgerLabel {
    what: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct RegistryLabel {
    upstream: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct WitnessLabels {
    witness: String,
    what: &'static str,
}

/// Every metric of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
    upstream_requests: Family<UpstreamLabels, Counter>,
    first_seen: Counter,
    moves: Family<PolicyLabel, Counter>,
    refusals: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    shared: Counter,
    log_size: Gauge,
    ledger: Family<LedgerLabel, Gauge>,
    witnesses: Family<WitnessLabels, Gauge>,
    remaining: Family<RegistryLabel, Gauge>,
    append: Histogram,
    panics: Counter,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = || Histogram::new(buckets());
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            upstream_requests: Family::default(),
            first_seen: Counter::default(),
            moves: Family::default(),
            refusals: Counter::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            shared: Counter::default(),
            log_size: Gauge::default(),
            ledger: Family::default(),
            witnesses: Family::default(),
            remaining: Family::default(),
            append: histogram(),
            panics: Counter::default(),
            registry: Registry::default(),
        };
        registry.register(
            "tlog_requests",
            "Answers, by what was asked and how it ended",
            metrics.requests.clone(),
        );
        registry.register(
            "tlog_request_duration_seconds",
            "Time to the head of an answer",
            metrics.durations.clone(),
        );
        registry.register(
            "tlog_upstream_requests",
            "Questions to upstream registries",
            metrics.upstream_requests.clone(),
        );
        registry.register(
            "tlog_tag_first_seen",
            "Tags recorded for the first time",
            metrics.first_seen.clone(),
        );
        registry.register("tlog_tag_moves", "Recorded tags found at another digest", metrics.moves.clone());
        registry.register("tlog_refusals", "Pulls refused because the tag moved", metrics.refusals.clone());
        registry.register("tlog_cache_hits", "Answers from our own store", metrics.cache_hits.clone());
        registry.register(
            "tlog_cache_misses",
            "Manifests that had to come from upstream",
            metrics.cache_misses.clone(),
        );
        registry.register(
            "tlog_singleflight_shared",
            "Requests that shared another's check",
            metrics.shared.clone(),
        );
        registry.register("tlog_log_size", "Leaves in the published checkpoint", metrics.log_size.clone());
        registry.register(
            "tlog_ledger",
            "What the ledger counted since it was opened",
            metrics.ledger.clone(),
        );
        registry.register(
            "tlog_upstream_ratelimit_remaining",
            "Pulls that a registry said last that it allows",
            metrics.remaining.clone(),
        );
        registry.register(
            "tlog_witness",
            "What each witness did: submissions, cosignatures, failures, its newest size and time",
            metrics.witnesses.clone(),
        );
        registry.register("tlog_log_append_seconds", "Time to a durable record", metrics.append.clone());
        registry.register("tlog_panics", "Requests that hit a defect", metrics.panics.clone());
        Self { registry, ..metrics }
    }

    /// One answer.
    pub(crate) fn answered(&self, upstream: &str, kind: Kind, outcome: Outcome, took: Duration) {
        let labels = RequestLabels { upstream: upstream.to_owned(), kind, outcome };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
        if outcome == Outcome::FirstSeen {
            self.first_seen.inc();
        }
    }

    /// One question to upstream; `code` is a status or a word for what went wrong.
    pub(crate) fn asked(&self, upstream: &str, kind: &'static str, code: &str) {
        let labels = UpstreamLabels { upstream: upstream.to_owned(), kind, code: code.to_owned() };
        self.upstream_requests.get_or_create(&labels).inc();
    }

    /// A recorded tag was found at another digest.
    pub(crate) fn moved(&self, frozen: bool, refused: bool) {
        let policy = if frozen { "freeze" } else { "observe" };
        self.moves.get_or_create(&PolicyLabel { policy }).inc();
        if refused {
            self.refusals.inc();
        }
    }

    /// A manifest came from our store, or did not.
    pub(crate) fn stored(&self, hit: bool) {
        if hit {
            self.cache_hits.inc()
        } else {
            self.cache_misses.inc()
        };
    }

    /// A request waited for another's check.
    pub(crate) fn shared(&self) {
        self.shared.inc();
    }

    /// A record became durable.
    pub(crate) fn appended(&self, took: Duration) {
        self.append.observe(took.as_secs_f64());
    }

    /// A handler panicked.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Pulls that registries said last that they allow, by label.
    pub(crate) fn remaining(&self, allowances: BTreeMap<String, u64>) {
        for (upstream, remaining) in allowances {
            let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
            self.remaining.get_or_create(&RegistryLabel { upstream }).set(remaining);
        }
    }

    /// What the witnesses did so far, by name.
    pub(crate) fn witnesses(&self, counts: &BTreeMap<String, Counts>) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (witness, counts) in counts {
            let failed = counts.failed.iter().map(|(why, count)| (*why, *count));
            let all = [
                ("submitted", counts.submitted),
                ("cosigned", counts.cosigned),
                ("failed", counts.failed.values().sum()),
                ("size", counts.size),
                ("time", counts.time),
            ];
            for (what, count) in all.into_iter().chain(failed) {
                let labels = WitnessLabels { witness: witness.clone(), what };
                self.witnesses.get_or_create(&labels).set(number(count));
            }
        }
    }

    /// The text of `/metrics`, with the log's size and the ledger's own counters as they are now.
    pub(crate) fn render(
        &self,
        log_size: u64,
        ledger: &ledger::Statistics,
    ) -> Result<String, std::fmt::Error> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.log_size.set(number(log_size));
        for (name, count) in [
            ("batches", ledger.batches),
            ("leaves", ledger.leaves),
            ("unrecorded_moves", ledger.unrecorded_moves),
            ("failed_batches", ledger.failed_batches),
            ("corrupt_reads", ledger.corrupt_reads),
            ("waiting", ledger.waiting),
        ] {
            self.ledger.get_or_create(&LedgerLabel { what: name }).set(number(count));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// 0.1 ms to about 26 s.
fn buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(0.000_1, 2.0, 19)
}
