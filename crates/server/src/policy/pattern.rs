//! Globs over `<host>/<repository>:<tag>`.
//!
//! `*` stays within one path component or tag, `**` does not. Matching takes time linear in
//! pattern × subject, whatever an operator writes. Knows nothing of actions.

use std::fmt;
use std::str::FromStr;

use oci::RegistryHost;

use super::places::Places;

/// A compiled glob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    source: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Byte(u8),
    Star,
    DoubleStar,
}

/// A glob that could never match, with the way out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// The host is spelled as Docker does, not as the log does.
    #[error("`{pattern}` names Docker Hub as `{alias}`; the log writes it `index.docker.io`, so write that")]
    Alias {
        /// The pattern.
        pattern: String,
        /// The alias it begins with.
        alias: String,
    },
    /// Not a character of any reference.
    #[error(
        "`{pattern}` holds {character:?}, which no reference can contain; use letters, digits, `.`, `_`, `-`, `/`, `:`, `*` and `**`"
    )]
    Character {
        /// The pattern.
        pattern: String,
        /// The first such character.
        character: char,
    },
    /// No tag part.
    #[error("`{pattern}` says nothing of tags and would never match; end it with `:*` (all tags) or `**`")]
    NoTag {
        /// The pattern.
        pattern: String,
    },
    /// The host is none, or not as the log writes it.
    #[error("`{pattern}` would never match: {why}")]
    Never {
        /// The pattern.
        pattern: String,
        /// Why, and what to write.
        why: String,
    },
    /// Empty.
    #[error("an empty pattern matches nothing; `**` matches every tag")]
    Empty,
}

impl Pattern {
    /// Whether the whole of `subject` matches.
    pub fn matches(&self, subject: &str) -> bool {
        let literal = self.tokens.iter().take_while(|token| matches!(token, Token::Byte(_))).count();
        let mut bytes = subject.bytes();
        for token in self.tokens.iter().take(literal) {
            if bytes.next().map(Token::Byte) != Some(*token) {
                return false;
            }
        }
        let rest = self.tokens.get(literal..).unwrap_or_default();
        active_after(rest, bytes).last().copied().unwrap_or(false)
    }

    /// Where it is after `prefix`: the places in it before which the next character may be matched; the last is its end.
    pub(super) fn after(&self, prefix: &str) -> Places {
        let mut places = self.with_stars(vec![0]);
        for byte in prefix.bytes() {
            if places.is_dead() {
                break;
            }
            places = self.next(&places, byte);
        }
        places
    }

    /// Where it is one character later.
    pub(super) fn next(&self, places: &Places, byte: u8) -> Places {
        let targets = places.at.iter().filter_map(|place| target(*self.tokens.get(*place)?, *place, byte));
        self.with_stars(targets.collect())
    }

    /// Whether all that was read matches.
    pub(super) fn ends_at(&self, places: &Places) -> bool {
        places.at.last() == Some(&self.tokens.len())
    }

    /// A star may match nothing, so what follows it is a place as well.
    fn with_stars(&self, at: Vec<usize>) -> Places {
        let mut all = Vec::with_capacity(at.len() + 1);
        for mut place in at {
            while all.last().is_none_or(|last| *last < place) {
                all.push(place);
                if !matches!(self.tokens.get(place), Some(Token::Star | Token::DoubleStar)) {
                    break;
                }
                place += 1;
            }
        }
        Places { at: all, behind: None }
    }

    /// Characters that it tells from others.
    pub(super) fn named(&self) -> impl Iterator<Item = u8> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::Star | Token::DoubleStar => None,
        })
    }
}

/// The places before which the next byte may be matched once `bytes` were: a set, advanced byte by byte.
fn active_after(tokens: &[Token], bytes: impl Iterator<Item = u8>) -> Vec<bool> {
    let mut active = vec![false; tokens.len() + 1];
    let mut next = active.clone();
    if let Some(first) = active.first_mut() {
        *first = true;
    }
    skip_stars(tokens, &mut active);
    for byte in bytes {
        advance(tokens, &active, byte, &mut next);
        std::mem::swap(&mut active, &mut next);
    }
    active
}

fn advance(tokens: &[Token], active: &[bool], byte: u8, next: &mut [bool]) {
    next.fill(false);
    for (place, token) in tokens.iter().enumerate() {
        if !active.get(place).copied().unwrap_or(false) {
            continue;
        }
        if let Some(slot) = target(*token, place, byte).and_then(|target| next.get_mut(target)) {
            *slot = true;
        }
    }
    skip_stars(tokens, next);
}

/// The place after `byte` was matched at `place`.
fn target(token: Token, place: usize, byte: u8) -> Option<usize> {
    match token {
        Token::Byte(wanted) => (wanted == byte).then_some(place + 1),
        Token::Star => (!matches!(byte, b'/' | b':')).then_some(place),
        Token::DoubleStar => Some(place),
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(source: &str) -> Result<Self, PatternError> {
        let pattern = || source.to_owned();
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:*".contains(c);
        if let Some(character) = source.chars().find(|c| !allowed(*c)) {
            return Err(PatternError::Character { pattern: pattern(), character });
        }
        let host = source.split('/').next().unwrap_or_default();
        if matches!(host, "docker.io" | "registry-1.docker.io" | "registry.hub.docker.com") {
            return Err(PatternError::Alias { pattern: pattern(), alias: host.to_owned() });
        }
        let last = source.rsplit('/').next().unwrap_or_default();
        if !last.contains(':') && !last.contains("**") {
            return Err(PatternError::NoTag { pattern: pattern() });
        }
        if let Some(why) = never(source) {
            return Err(PatternError::Never { pattern: pattern(), why });
        }
        let mut tokens = Vec::with_capacity(source.len());
        let mut bytes = source.bytes().peekable();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Token::DoubleStar,
                b'*' => Token::Star,
                byte => Token::Byte(byte),
            });
        }
        Ok(Self { source: pattern(), tokens })
    }
}

/// Why nothing that is canonical can match; a `deny` that never matches would let everything pass.
fn never(source: &str) -> Option<String> {
    let before_tag = match source.rsplit_once('/') {
        Some((path, last)) => path.len() + 1 + last.find(':').unwrap_or_default(),
        None => 0,
    };
    if source.get(..before_tag).unwrap_or_default().bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("hosts and repositories are lower case in the log".to_owned());
    }
    let host = source.split('/').next().unwrap_or_default();
    if host.contains('*') {
        let crosses = source.contains('/') || source.contains("**");
        return (!crosses)
            .then(|| "`*` stays within one path component; begin with `**`, or with a host".to_owned());
    }
    match RegistryHost::canonicalize(host) {
        Ok(canonical) if canonical.as_str() != host => Some(format!("the log writes its host `{canonical}`")),
        Ok(canonical) if canonical == RegistryHost::docker_hub() && source.matches('/').count() == 1 => {
            let (_, repository) = source.split_once('/').unwrap_or_default();
            let of_one = !repository.contains("**");
            of_one.then(|| format!("the log writes official images `{host}/library/{repository}`"))
        }
        Ok(_) => None,
        Err(_no_host) => {
            let library = if source.contains('/') { "" } else { "library/" };
            Some(format!("it begins with no host; for Docker Hub write `index.docker.io/{library}{source}`"))
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// A star may match nothing, so what follows it is active as well.
fn skip_stars(tokens: &[Token], active: &mut [bool]) {
    for (place, token) in tokens.iter().enumerate() {
        let on = active.get(place).copied().unwrap_or(false);
        if on
            && matches!(token, Token::Star | Token::DoubleStar)
            && let Some(slot) = active.get_mut(place + 1)
        {
            *slot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, subject: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(subject)
    }

    #[test]
    fn a_star_stays_within_one_component() {
        assert!(matches("index.docker.io/library/*:latest", "index.docker.io/library/alpine:latest"));
        assert!(!matches("index.docker.io/library/*:latest", "index.docker.io/library/a/b:latest"));
        assert!(!matches("index.docker.io/library/*:latest", "index.docker.io/library/alpine:3"));
        assert!(!matches("ghcr.io/*:latest", "ghcr.io/org/app:latest"));
        assert!(matches("ghcr.io/org/app:*-dev", "ghcr.io/org/app:1.2-dev"));
    }

    #[test]
    fn a_double_star_crosses_components_and_tags() {
        assert!(matches("ghcr.io/org/**", "ghcr.io/org/a/b:v1"));
        assert!(matches("**", "ghcr.io/org/a/b:v1"));
        assert!(matches("**:latest", "ghcr.io/org/a/b:latest"));
        assert!(!matches("**:latest", "ghcr.io/org/a/b:latest2"));
        assert!(!matches("ghcr.io/org/**", "ghcr.io/organisation/a:v1"));
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused_with_the_way_out() {
        let error = |pattern: &str| pattern.parse::<Pattern>().unwrap_err().to_string();
        assert!(error("docker.io/library/*:latest").contains("index.docker.io"));
        assert!(error("ghcr.io/org/app").contains("`:*`"));
        assert!(error("ghcr.io/org/app:v?").contains("'?'"));
        assert!(error("").contains("`**`"));
        for (pattern, way_out) in [
            ("GHCR.io/org/**", "lower case"),
            ("ghcr.io/Org/app:v1", "lower case"),
            ("ghcr.io:443/org/**", "`ghcr.io`"),
            ("ghcr.io./org/**", "`ghcr.io`"),
            ("alpine:latest", "`index.docker.io/library/alpine:latest`"),
            ("org/app:*", "`index.docker.io/org/app:*`"),
            ("index.docker.io/alpine:latest", "`index.docker.io/library/alpine:latest`"),
            ("*:latest", "`**`"),
        ] {
            assert!(error(pattern).contains(way_out), "{pattern}: {}", error(pattern));
        }
    }

    #[test]
    fn upper_case_in_tags_and_hosts_with_a_port_or_stars_are_patterns() {
        for (pattern, subject) in [
            ("ghcr.io/org/app:V*", "ghcr.io/org/app:V1"),
            ("ghcr.io/org/**RC1", "ghcr.io/org/app:RC1"),
            ("**:RC*", "ghcr.io/org/app:RC1"),
            ("reg.example:5000/**", "reg.example:5000/app:v1"),
            ("*.example/app:v1", "a.example/app:v1"),
            ("*/app:v1", "a.example/app:v1"),
            ("index.docker.io/**", "index.docker.io/library/alpine:3"),
            ("localhost/app:v1", "localhost/app:v1"),
        ] {
            assert!(matches(pattern, subject), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_character_by_character_matches_as_the_whole_does(
            source in "[ab*]{1,6}:[ab*]{1,6}",
            subject in "[ab]{0,4}[:/]?[ab]{0,4}",
        ) {
            // Such as a host may be `*`.
            if let Ok(pattern) = format!("**{source}").parse::<Pattern>() {
                prop_assert_eq!(pattern.ends_at(&pattern.after(&subject)), pattern.matches(&subject));
            }
        }

        #[test]
        fn a_pattern_without_stars_matches_itself_alone(subject in "[a-z]{1,8}\\.io/[a-z]{1,8}:[a-z0-9]{1,8}", other in "[a-z]{1,8}\\.io/[a-z]{1,8}:[a-z0-9]{1,8}") {
            prop_assert!(matches(&subject, &subject));
            prop_assert_eq!(matches(&subject, &other), subject == other);
        }

        #[test]
        fn printing_gives_back_what_was_parsed(source in "[a-z*]{1,8}\\.io/[a-z*]{1,8}:[a-z0-9*]{1,8}") {
            prop_assert_eq!(source.parse::<Pattern>().unwrap().to_string(), source);
        }

        #[test]
        fn many_stars_do_not_take_exponential_time(stars in 1_usize..60) {
            let pattern = format!("ghcr.io/{}:x", "*a".repeat(stars));
            let subject = format!("ghcr.io/{}", "a".repeat(120));
            prop_assert!(!matches(&pattern, &subject));
        }
    }
}
