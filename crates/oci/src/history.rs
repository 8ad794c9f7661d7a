//! Which part of a tag's history is asked for: the draft of distribution-spec's tag history (pull request 606) and the
//! parameters of Chainguard's tag history API.
//!
//! Strict, as the draft demands: what is given twice or is not what it has to be is an error. Knows no histories.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::route::decode_query_value;
use crate::{Digest, RouteError};

/// Entries that are given at once at most.
const MAX_PAGE: u32 = 1_000;

/// The query of `_oci/tag-history`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HistoryQuery {
    /// Entries on a page, at most 1,000; 0 asks only whether there is a history at all.
    pub n: Option<u32>,
    /// Those before this time.
    pub before: Option<Timestamp>,
    /// Those at this time or later.
    pub since: Option<Timestamp>,
    /// Those of this digest.
    pub digest: Option<Digest>,
    /// Those before this leaf of the log: how our own links lead on.
    pub below: Option<u64>,
}

/// `start` and `end` of `_chainguard/history`, both included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TimeSpan {
    /// From here on.
    pub start: Option<Timestamp>,
    /// Up to here.
    pub end: Option<Timestamp>,
}

impl HistoryQuery {
    /// Reads the parameters that mean something; `ns` is read elsewhere.
    ///
    /// # Errors
    ///
    /// [`RouteError::History`]
    pub fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (key, raw) in pairs(query) {
            match key {
                "n" => {
                    let n = number(raw).and_then(|n| u32::try_from(n.min(u64::from(MAX_PAGE))).ok());
                    once(&mut parsed.n, n, "n", "a number")?;
                }
                "before" => once(&mut parsed.before, rfc3339(raw), "before", A_TIME)?,
                "since" => once(&mut parsed.since, rfc3339(raw), "since", A_TIME)?,
                "digest" => {
                    let digest = decode_query_value(raw).and_then(|text| Digest::parse(&text).ok());
                    once(&mut parsed.digest, digest, "digest", "a digest")?;
                }
                "below" => once(&mut parsed.below, number(raw), "below", "an index of the log")?,
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The same as a query that leads on below this leaf of the log.
    pub fn further(&self, below: u64) -> String {
        let mut query = Vec::new();
        if let Some(n) = self.n {
            query.push(format!("n={n}"));
        }
        if let Some(since) = self.since {
            query.push(format!("since={since}"));
        }
        if let Some(before) = self.before {
            query.push(format!("before={before}"));
        }
        if let Some(digest) = &self.digest {
            query.push(format!("digest={digest}"));
        }
        query.push(format!("below={below}"));
        query.join("&")
    }
}

impl TimeSpan {
    /// Reads `start` and `end`: RFC 3339 times, or dates for their first second.
    ///
    /// # Errors
    ///
    /// [`RouteError::History`]
    pub fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (key, raw) in pairs(query) {
            let time = || rfc3339(raw).or_else(|| date(raw));
            match key {
                "start" => once(&mut parsed.start, time(), "start", A_TIME)?,
                "end" => once(&mut parsed.end, time(), "end", A_TIME)?,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

const A_TIME: &str = "a time such as `2026-11-25T12:00:00Z`";

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn once<T>(
    place: &mut Option<T>,
    value: Option<T>,
    parameter: &'static str,
    expected: &'static str,
) -> Result<(), RouteError> {
    match (value, &place) {
        (Some(value), None) => {
            *place = Some(value);
            Ok(())
        }
        _ => Err(RouteError::History { parameter, expected }),
    }
}

fn number(raw: &str) -> Option<u64> {
    let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    if digits { raw.parse().ok() } else { None }
}

/// A time of RFC 3339 §5.6 and of no wider grammar.
fn rfc3339(raw: &str) -> Option<Timestamp> {
    let text = decode_query_value(raw)?;
    let bytes = text.as_bytes();
    let at = |place: usize, expected: &[u8]| bytes.get(place).is_some_and(|byte| expected.contains(byte));
    let shaped = at(4, b"-") && at(7, b"-") && at(10, b"Tt") && at(13, b":") && at(16, b":");
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zoned = matches!(zone.as_bytes(), [b'Z' | b'z'] | [b'+' | b'-', _, _, b':', _, _]);
    if shaped && zoned { text.parse().ok() } else { None }
}

fn date(raw: &str) -> Option<Timestamp> {
    let text = decode_query_value(raw)?;
    if text.len() != 10 {
        return None;
    }
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_parameter_of_the_draft_is_read() {
        let query = "n=5&before=2026-01-02T03:04:05Z&since=2025-01-02T03:04:05.5%2B02:00&x=1&ns=ghcr.io";
        let parsed = HistoryQuery::parse(query).unwrap();
        assert_eq!(parsed.n, Some(5));
        assert_eq!(parsed.before.unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(parsed.since.unwrap().to_string(), "2025-01-02T01:04:05.5Z");
        assert_eq!(HistoryQuery::parse("n=0").unwrap().n, Some(0));
        assert_eq!(HistoryQuery::parse("n=99999").unwrap().n, Some(MAX_PAGE));
        assert_eq!(HistoryQuery::parse("").unwrap(), HistoryQuery::default());
    }

    #[test]
    fn what_is_not_what_it_has_to_be_is_refused() {
        for query in [
            "n=-1",
            "n=",
            "n=%2B1",
            "n",
            "n=1&n=1",
            "before=",
            "before=yesterday",
            "before=2026-01-02",
            "before=2026-01-02T03:04:05",
            "before=2026-01-02%2003:04:05Z",
            "before=2026-13-02T03:04:05Z",
            "before=2026-01-02T03:04:05Z&before=2026-01-02T03:04:05Z",
            "since=",
            "since=1700000000",
            "digest=sha256:abc",
            "digest=",
            "digest=latest",
            "below=x",
        ] {
            assert!(matches!(HistoryQuery::parse(query), Err(RouteError::History { .. })), "{query}");
        }
    }

    #[test]
    fn a_span_takes_dates_as_well() {
        let span = TimeSpan::parse("start=2023-05-12&end=2023-05-12T13:46:10.555Z").unwrap();
        assert_eq!(span.start.unwrap().to_string(), "2023-05-12T00:00:00Z");
        assert_eq!(span.end.unwrap().to_string(), "2023-05-12T13:46:10.555Z");
        for query in ["start=", "start=2023", "start=2023-05-12&start=2023-05-12", "end=now"] {
            assert!(TimeSpan::parse(query).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_query_that_leads_on_is_the_same_further_down(
            n in proptest::option::of(0..MAX_PAGE),
            before in proptest::option::of(0..4_000_000_000_i64),
            since in proptest::option::of(0..4_000_000_000_i64),
            below in any::<u64>(),
        ) {
            let time = |seconds: Option<i64>| seconds.map(|seconds| Timestamp::from_second(seconds).unwrap());
            let digest = Some(Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap());
            let query = HistoryQuery { n, before: time(before), since: time(since), digest, below: None };
            let further = HistoryQuery::parse(&query.further(below)).unwrap();
            prop_assert_eq!(further, HistoryQuery { below: Some(below), ..query });
        }

        #[test]
        fn no_query_is_a_panic(query in "[ -~]{0,80}") {
            let _any = (HistoryQuery::parse(&query), TimeSpan::parse(&query));
        }
    }
}
