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
use prometheus_client::registry::{Metric, Registry};
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
    History,
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
            Self::History => "history",
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
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ServiceLabel {
    service: &'static str,
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

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    outcome: &'static str,
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
    spared: Family<ReasonLabel, Counter>,
    sigstore_requests: Family<ServiceLabel, Gauge>,
    sigstore_certificates: Gauge,
    cache_hits: Counter,
    cache_misses: Counter,
    shared: Counter,
    log_size: Gauge,
    ledger: Family<LedgerLabel, Gauge>,
    witnesses: Family<WitnessLabels, Gauge>,
    remaining: Family<RegistryLabel, Gauge>,
    append: Histogram,
    panics: Counter,
    turned_away: Family<ReasonLabel, Counter>,
    crowded: Gauge,
    reloads: Family<ReloadLabels, Counter>,
    certificate_end: Family<ListenerLabel, Gauge>,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = || Histogram::new(buckets());
        Self {
            requests: registered(
                &mut registry,
                "tlog_requests",
                "Answers, by what was asked and how it ended",
                Family::default(),
            ),
            durations: registered(
                &mut registry,
                "tlog_request_duration_seconds",
                "Time to the head of an answer",
                Family::new_with_constructor(histogram),
            ),
            upstream_requests: registered(
                &mut registry,
                "tlog_upstream_requests",
                "Questions to upstream registries",
                Family::default(),
            ),
            first_seen: registered(
                &mut registry,
                "tlog_tag_first_seen",
                "Tags recorded for the first time",
                Counter::default(),
            ),
            moves: registered(
                &mut registry,
                "tlog_tag_moves",
                "Recorded tags found at another digest",
                Family::default(),
            ),
            refusals: registered(
                &mut registry,
                "tlog_refusals",
                "Pulls refused because the tag moved",
                Counter::default(),
            ),
            spared: registered(
                &mut registry,
                "tlog_dry_run",
                "Pulls that would have been refused, had the rule's mode not been `dry-run`",
                Family::default(),
            ),
            sigstore_requests: registered(
                &mut registry,
                "tlog_sigstore_requests",
                "Requests to Sigstore's services since the start",
                Family::default(),
            ),
            sigstore_certificates: registered(
                &mut registry,
                "tlog_sigstore_certificates",
                "Certificates had from Fulcio since the start",
                Gauge::default(),
            ),
            cache_hits: registered(
                &mut registry,
                "tlog_cache_hits",
                "Answers from our own store",
                Counter::default(),
            ),
            cache_misses: registered(
                &mut registry,
                "tlog_cache_misses",
                "Manifests that had to come from upstream",
                Counter::default(),
            ),
            shared: registered(
                &mut registry,
                "tlog_singleflight_shared",
                "Requests that shared another's check",
                Counter::default(),
            ),
            log_size: registered(
                &mut registry,
                "tlog_log_size",
                "Leaves in the published checkpoint",
                Gauge::default(),
            ),
            ledger: registered(
                &mut registry,
                "tlog_ledger",
                "What the ledger counted since it was opened",
                Family::default(),
            ),
            remaining: registered(
                &mut registry,
                "tlog_upstream_ratelimit_remaining",
                "Pulls that a registry said last that it allows",
                Family::default(),
            ),
            witnesses: registered(
                &mut registry,
                "tlog_witness",
                "What each witness did: submissions, cosignatures, failures, its newest size and time",
                Family::default(),
            ),
            append: registered(
                &mut registry,
                "tlog_log_append_seconds",
                "Time to a durable record",
                histogram(),
            ),
            panics: registered(
                &mut registry,
                "tlog_panics",
                "Requests that hit a defect",
                Counter::default(),
            ),
            turned_away: registered(
                &mut registry,
                "tlog_turned_away",
                "Requests that were not answered: beyond a client's rate, a wrong login, too many wrong logins, too many untaken answers",
                Family::default(),
            ),
            crowded: registered(
                &mut registry,
                "tlog_connections_turned_away",
                "Connections closed at once because their client had enough",
                Gauge::default(),
            ),
            reloads: registered(
                &mut registry,
                "tlog_reloads",
                "Certificates and users' files read again, and whether they could be used",
                Family::default(),
            ),
            certificate_end: registered(
                &mut registry,
                "tlog_tls_certificate_not_after_seconds",
                "When the certificate that clients are shown ends, in Unix seconds",
                Family::default(),
            ),
            registry,
        }
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

    /// A pull was served that would have been refused, had the rule been enforced.
    pub(crate) fn spared(&self, reason: &'static str) {
        self.spared.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// What logging in public cost so far.
    pub(crate) fn sigstore(&self, statistics: &sigstore::Statistics) {
        let requests = [
            ("identity", statistics.identity),
            ("fulcio", statistics.fulcio),
            ("rekor", statistics.rekor),
            ("timestamp", statistics.timestamp),
            ("trust", statistics.trust),
        ];
        for (service, count) in requests {
            self.sigstore_requests.get_or_create(&ServiceLabel { service }).set(number(count));
        }
        self.sigstore_certificates.set(number(statistics.certificates));
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

    /// A request was not looked at.
    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Files were read again.
    pub(crate) fn reloaded(&self, what: &'static str, usable: bool) {
        let outcome = if usable { "ok" } else { "failed" };
        self.reloads.get_or_create(&ReloadLabels { what, outcome }).inc();
    }

    /// What is known of connections now: how many were closed at once, and when the certificate ends.
    pub(crate) fn connections(&self, turned_away: u64, certificate_end: Option<u64>) {
        self.crowded.set(number(turned_away));
        if let Some(end) = certificate_end {
            self.certificate_end.get_or_create(&ListenerLabel { listener: "listen" }).set(number(end));
        }
    }

    /// Pulls that registries said last that they allow, by label.
    pub(crate) fn remaining(&self, allowances: BTreeMap<String, u64>) {
        for (upstream, remaining) in allowances {
            self.remaining.get_or_create(&RegistryLabel { upstream }).set(number(remaining));
        }
    }

    /// What the witnesses did so far, by name.
    pub(crate) fn witnesses(&self, counts: &BTreeMap<String, Counts>) {
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

/// `metric`, which `/metrics` shows from now on; in the order of these calls.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// 0.1 ms to about 26 s.
fn buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(0.000_1, 2.0, 19)
}
