//! The leaves: lines of text in exactly one spelling each.
//!
//! Unknown kinds are hashed like all and mean nothing to the map, so that a later version can add
//! some. What leaves mean together is `rules`' matter.

use std::fmt;

use oci::{ManifestType, Name, Sha256Digest, Tag};
use tlog::Hash;

use crate::LeafError;

/// One leaf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leaf {
    /// Leaf 0: the rules of this log.
    Log {
        /// Whether `supersede` and `thaw` leaves are possible.
        supersede: SupersedeRule,
        /// The log that this one continues.
        previous: Option<Previous>,
    },
    /// First seen, and frozen.
    Tag(Record),
    /// An observed tag at a new digest.
    Seen(Record),
    /// Evidence that upstream moved a frozen tag.
    Moved {
        /// Of the repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// What it is frozen at.
        recorded: Sha256Digest,
        /// What upstream served.
        seen: Sha256Digest,
        /// Unix seconds.
        time: u64,
    },
    /// An operator's public re-pin.
    Supersede {
        /// Of the repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// What it was.
        old: Sha256Digest,
        /// What it is from here on.
        new: Sha256Digest,
        /// Unix seconds.
        time: u64,
        /// In the operator's words.
        reason: Reason,
    },
    /// An operator's public end of freezing.
    Thaw {
        /// Of the repository.
        name: Name,
        /// The tag.
        tag: Tag,
        /// What it was frozen at.
        digest: Sha256Digest,
        /// Unix seconds.
        time: u64,
        /// In the operator's words.
        reason: Reason,
    },
    /// The log has ended.
    Close {
        /// Unix seconds.
        time: u64,
        /// In the operator's words.
        reason: Reason,
    },
    /// The map over all leaves before this one.
    Index {
        /// This leaf's own place.
        index: u64,
        /// Keys in the map.
        count: u64,
        /// Root of the map.
        root: Hash,
    },
    /// A kind of a later version.
    Unknown {
        /// Its first word.
        kind: String,
    },
}

/// What a `tag` or `seen` leaf says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Of the repository.
    pub name: Name,
    /// The tag.
    pub tag: Tag,
    /// SHA-256 of the manifest's bytes.
    pub digest: Sha256Digest,
    /// Unix seconds.
    pub time: u64,
    /// The manifest's type.
    pub media_type: ManifestType,
    /// The manifest's bytes.
    pub size: u64,
}

/// What leaf 0 says of re-pins, for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SupersedeRule {
    /// A frozen tag stays what it is.
    Never,
    /// An operator may re-pin, in public.
    Operator,
}

/// The end of the log that this one continues.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Previous {
    /// Its name.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Why an operator did something, in 1 to 1024 printable ASCII characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason(String);

/// Bytes of a leaf, at most: more than any known kind needs.
pub const MAX_LEAF: usize = 4_096;
/// Digits that fit `i64`.
const NUMBER_DIGITS: usize = 18;
/// Digits until the year 2286.
const TIME_DIGITS: usize = 10;

impl Leaf {
    /// Parses a leaf's bytes.
    ///
    /// # Errors
    ///
    /// [`LeafError`] for anything but the one spelling of a known kind, or text of an unknown one.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > MAX_LEAF {
            return Err(LeafError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_encoding| LeafError::NotText)?;
        let control = |c: char| c.is_ascii_control() && c != '\n';
        let body = text.strip_suffix('\n').filter(|_| !text.contains("\n\n") && !text.contains(control));
        let body = body.ok_or(LeafError::NotText)?;
        let (first, rest) = body.split_once('\n').map_or((body, None), |(first, rest)| (first, Some(rest)));
        let (kind, fields) =
            first.split_once(' ').map_or((first, None), |(kind, fields)| (kind, Some(fields)));
        let mut lines = Lines { kind: "", first, fields, rest };
        match kind {
            "log" => lines.of("log").log(),
            "tag" => lines.of("tag").record().map(Self::Tag),
            "seen" => lines.of("seen").record().map(Self::Seen),
            "moved" => lines.of("moved").moved(),
            "supersede" => lines.of("supersede").supersede(),
            "thaw" => lines.of("thaw").thaw(),
            "close" => lines.of("close").close(),
            "index" => lines.of("index").index(),
            other => Ok(Self::Unknown { kind: other.to_owned() }),
        }
    }

    /// The bytes that are hashed. An unknown leaf has none but those it was read from.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Name, tag and digest, for the kinds that the map points to.
    pub fn current(&self) -> Option<(&Name, &Tag, &Sha256Digest)> {
        match self {
            Self::Tag(record) | Self::Seen(record) => Some((&record.name, &record.tag, &record.digest)),
            Self::Supersede { name, tag, new, .. } => Some((name, tag, new)),
            Self::Thaw { name, tag, digest, .. } => Some((name, tag, digest)),
            _ => None,
        }
    }

    /// Unix seconds, for the kinds that have a time.
    pub fn time(&self) -> Option<u64> {
        match self {
            Self::Tag(record) | Self::Seen(record) => Some(record.time),
            Self::Moved { time, .. }
            | Self::Supersede { time, .. }
            | Self::Thaw { time, .. }
            | Self::Close { time, .. } => Some(*time),
            Self::Log { .. } | Self::Index { .. } | Self::Unknown { .. } => None,
        }
    }

    /// The first word.
    pub fn kind(&self) -> &str {
        match self {
            Self::Log { .. } => "log",
            Self::Tag(_) => "tag",
            Self::Seen(_) => "seen",
            Self::Moved { .. } => "moved",
            Self::Supersede { .. } => "supersede",
            Self::Thaw { .. } => "thaw",
            Self::Close { .. } => "close",
            Self::Index { .. } => "index",
            Self::Unknown { kind } => kind,
        }
    }
}

impl Reason {
    /// Checks the words.
    ///
    /// # Errors
    ///
    /// [`LeafError::Reason`].
    pub fn parse(text: &str) -> Result<Self, LeafError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let ends = text.trim() == text;
        if printable && ends && (1..=1_024).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(LeafError::Reason)
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A leaf's lines, taken one after the other.
struct Lines<'a> {
    kind: &'static str,
    first: &'a str,
    fields: Option<&'a str>,
    rest: Option<&'a str>,
}

impl<'a> Lines<'a> {
    fn of(&mut self, kind: &'static str) -> &mut Self {
        self.kind = kind;
        self
    }

    fn wrong(&self, line: &str) -> LeafError {
        LeafError::Line { kind: self.kind, line: line.chars().take(160).collect() }
    }

    /// The words behind the kind, exactly `N` of them.
    fn words<const N: usize>(&self) -> Result<[&'a str; N], LeafError> {
        let words: Vec<&str> = self.fields.into_iter().flat_map(|fields| fields.split(' ')).collect();
        words.try_into().map_err(|_count| self.wrong(self.first))
    }

    /// The value of the next line, whose first word is `key`.
    fn value(&mut self, key: &str) -> Result<&'a str, LeafError> {
        let rest = self.rest.ok_or(LeafError::Lines { kind: self.kind, found: 1 })?;
        let (line, rest) = rest.split_once('\n').map_or((rest, None), |(line, rest)| (line, Some(rest)));
        self.rest = rest;
        line.strip_prefix(key).and_then(|line| line.strip_prefix(' ')).ok_or_else(|| self.wrong(line))
    }

    fn end<T>(&self, leaf: T) -> Result<T, LeafError> {
        match self.rest {
            None => Ok(leaf),
            Some(rest) => Err(LeafError::Lines { kind: self.kind, found: 2 + rest.split('\n').count() }),
        }
    }

    fn number(&self, text: &str, digits: usize) -> Result<u64, LeafError> {
        tlog::decimal(text).filter(|_| text.len() <= digits).ok_or_else(|| self.wrong(text))
    }

    fn hash(&self, text: &str) -> Result<Hash, LeafError> {
        Hash::from_base64(text).map_err(|_why| self.wrong(text))
    }

    fn time(&mut self) -> Result<u64, LeafError> {
        let text = self.value("time")?;
        self.number(text, TIME_DIGITS)
    }

    fn reason(&mut self) -> Result<Reason, LeafError> {
        Reason::parse(self.value("reason")?)
    }

    fn log(&mut self) -> Result<Leaf, LeafError> {
        let supersede = match self.words::<2>()? {
            ["tlogistry/v1", "supersede=never"] => SupersedeRule::Never,
            ["tlogistry/v1", "supersede=operator"] => SupersedeRule::Operator,
            _ => return Err(self.wrong(self.first)),
        };
        let previous = if self.rest.is_some() { Some(self.previous()?) } else { None };
        self.end(Leaf::Log { supersede, previous })
    }

    fn previous(&mut self) -> Result<Previous, LeafError> {
        let line = self.value("previous")?;
        let words: Vec<&str> = line.split(' ').collect();
        let [origin, size, root] = words.as_slice() else { return Err(self.wrong(line)) };
        let printable = origin.bytes().all(|byte| matches!(byte, b'!'..=b'*' | b','..=b'~'));
        if !printable || !(1..=255).contains(&origin.len()) {
            return Err(self.wrong(line));
        }
        let size = self.number(size, NUMBER_DIGITS)?;
        Ok(Previous { origin: (*origin).to_owned(), size, root: self.hash(root)? })
    }

    fn record(&mut self) -> Result<Record, LeafError> {
        let [name, tag, digest] = self.words()?;
        let (name, tag) = (Name::parse_canonical(name)?, Tag::parse(tag)?);
        let digest = Sha256Digest::parse(digest)?;
        let time = self.time()?;
        let media_type = self.value("type")?;
        let media_type = ManifestType::ALL.into_iter().find(|known| known.as_str() == media_type);
        let media_type = media_type.ok_or_else(|| self.wrong("type"))?;
        let size = self.value("size")?;
        let size = self.number(size, NUMBER_DIGITS)?;
        self.end(Record { name, tag, digest, time, media_type, size })
    }

    fn moved(&mut self) -> Result<Leaf, LeafError> {
        let [name, tag, recorded, seen] = self.words()?;
        let (name, tag) = (Name::parse_canonical(name)?, Tag::parse(tag)?);
        let (recorded, seen) = (Sha256Digest::parse(recorded)?, Sha256Digest::parse(seen)?);
        let time = self.time()?;
        self.end(Leaf::Moved { name, tag, recorded, seen, time })
    }

    fn supersede(&mut self) -> Result<Leaf, LeafError> {
        let [name, tag, old, new] = self.words()?;
        let (name, tag) = (Name::parse_canonical(name)?, Tag::parse(tag)?);
        let (old, new) = (Sha256Digest::parse(old)?, Sha256Digest::parse(new)?);
        let (time, reason) = (self.time()?, self.reason()?);
        self.end(Leaf::Supersede { name, tag, old, new, time, reason })
    }

    fn thaw(&mut self) -> Result<Leaf, LeafError> {
        let [name, tag, digest] = self.words()?;
        let (name, tag) = (Name::parse_canonical(name)?, Tag::parse(tag)?);
        let digest = Sha256Digest::parse(digest)?;
        let (time, reason) = (self.time()?, self.reason()?);
        self.end(Leaf::Thaw { name, tag, digest, time, reason })
    }

    fn close(&mut self) -> Result<Leaf, LeafError> {
        if self.fields.is_some() {
            return Err(self.wrong(self.first));
        }
        let (time, reason) = (self.time()?, self.reason()?);
        self.end(Leaf::Close { time, reason })
    }

    fn index(&mut self) -> Result<Leaf, LeafError> {
        let [index, count, root] = self.words()?;
        let (index, count) = (self.number(index, NUMBER_DIGITS)?, self.number(count, NUMBER_DIGITS)?);
        self.end(Leaf::Index { index, count, root: self.hash(root)? })
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { supersede, previous } => {
                writeln!(f, "log tlogistry/v1 supersede={supersede}")?;
                match previous {
                    None => Ok(()),
                    Some(log) => writeln!(f, "previous {} {} {}", log.origin, log.size, log.root),
                }
            }
            Self::Tag(record) => write_record(f, "tag", record),
            Self::Seen(record) => write_record(f, "seen", record),
            Self::Moved { name, tag, recorded, seen, time } => {
                writeln!(f, "moved {name} {tag} {recorded} {seen}\ntime {time}")
            }
            Self::Supersede { name, tag, old, new, time, reason } => {
                writeln!(f, "supersede {name} {tag} {old} {new}\ntime {time}\nreason {reason}")
            }
            Self::Thaw { name, tag, digest, time, reason } => {
                writeln!(f, "thaw {name} {tag} {digest}\ntime {time}\nreason {reason}")
            }
            Self::Close { time, reason } => writeln!(f, "close\ntime {time}\nreason {reason}"),
            Self::Index { index, count, root } => writeln!(f, "index {index} {count} {root}"),
            Self::Unknown { kind } => writeln!(f, "{kind}"),
        }
    }
}

impl fmt::Display for SupersedeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Operator => "operator",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn write_record(f: &mut fmt::Formatter<'_>, kind: &str, record: &Record) -> fmt::Result {
    let Record { name, tag, digest, time, media_type, size } = record;
    writeln!(f, "{kind} {name} {tag} {digest}\ntime {time}\ntype {media_type}\nsize {size}")
}

#[cfg(test)]
mod tests;
