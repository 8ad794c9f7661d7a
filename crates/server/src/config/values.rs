//! Values as people write them in a configuration: `2s`, `1GiB`, names of choices.
//!
//! Each parses in one place for file, environment and flags alike, and refuses what it does not
//! know with the forms that it does. Knows no keys.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use oci::ErrorCode;
use serde::Deserialize;

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// A number of bytes: a whole number, or one with `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub(crate) struct ByteSize(pub(crate) u64);

/// How blobs reach a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobMode {
    /// Upstream's own redirect is handed on; a body that upstream serves itself is streamed.
    Redirect,
    /// Every body goes through us.
    Stream,
    /// No blobs at all.
    Deny,
}

/// The error code of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
pub enum RefusalCode {
    /// `MANIFEST_UNVERIFIED`.
    #[serde(rename = "MANIFEST_UNVERIFIED")]
    ManifestUnverified,
    /// `DENIED`, for clients with a strict list of codes.
    #[serde(rename = "DENIED")]
    Denied,
}

/// Whether leaf 0 of a new log allows an operator to re-pin tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Supersede {
    /// A frozen tag stays what it is for ever.
    Never,
    /// `supersede` and `thaw` are possible, and public.
    Operator,
}

/// Whether a checkpoint waits for cosignatures.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publish {
    /// It is published at once, with the cosignatures that there are.
    #[default]
    BestEffort,
    /// Only one with the quorum of the witnesses' policy is.
    Require,
}

/// The form of log lines on standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A value that is not one of the forms that its key takes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{value}` is not {expected}")]
pub struct ValueError {
    value: String,
    expected: &'static str,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of bytes is written such as `4096`, `64MiB` or `2GiB`")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

const SPAN: &str = "a length of time such as `500ms`, `2s`, `10m`, `1h` or `3d`";
const SIZE: &str = "a number of bytes such as `4096`, `64MiB` or `2GiB`";

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        let error = || ValueError { value: value.to_owned(), expected: SPAN };
        let (number, unit) = number_and_unit(value).ok_or_else(error)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        let total = number.checked_mul(milliseconds).ok_or_else(error)?;
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if milliseconds != 0 && milliseconds.is_multiple_of(size) {
                return write!(f, "{}{unit}", milliseconds / size);
            }
        }
        if milliseconds == 0 { f.write_str("0s") } else { write!(f, "{milliseconds}ms") }
    }
}

impl TryFrom<String> for Span {
    type Error = ValueError;

    fn try_from(value: String) -> Result<Self, ValueError> {
        value.parse()
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        let error = || ValueError { value: value.to_owned(), expected: SIZE };
        let (number, unit) = number_and_unit(value).ok_or_else(error)?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(error()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 != 0 && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl TryFrom<NumberOrText> for ByteSize {
    type Error = ValueError;

    fn try_from(value: NumberOrText) -> Result<Self, ValueError> {
        match value {
            NumberOrText::Number(number) => Ok(Self(number)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl From<RefusalCode> for ErrorCode {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::ManifestUnverified => Self::ManifestUnverified,
            RefusalCode::Denied => Self::Denied,
        }
    }
}

fn number_and_unit(value: &str) -> Option<(u64, &str)> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_and_sizes_need_a_unit_they_know() {
        assert_eq!("2s".parse::<Span>().unwrap().0, Duration::from_secs(2));
        assert_eq!("3d".parse::<Span>().unwrap().0, Duration::from_secs(3 * 86_400));
        for wrong in ["", "2", "s", "2 s", "-1s", "2S", "1e3s", "99999999999999999999s"] {
            let message = wrong.parse::<Span>().unwrap_err().to_string();
            assert!(message.contains("`500ms`"), "{message}");
        }
        assert_eq!("2GiB".parse::<ByteSize>().unwrap().0, 2 << 30);
        for wrong in ["", "GiB", "2Gb", "2 GiB", "99999999999GiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_span_prints_as_it_parses(milliseconds in 0_u64..10_000_000_000) {
            let span = Span(Duration::from_millis(milliseconds));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn a_size_prints_as_it_parses(bytes in any::<u64>()) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
        }
    }
}
