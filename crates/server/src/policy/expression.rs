//! Regular expressions over `<host>/<repository>:<tag>`, for what globs cannot say.
//!
//! Anchored at both ends, without look-around or back references, so that matching takes linear time. Knows nothing of
//! actions.

use std::fmt;
use std::str::FromStr;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// Characters of one expression.
const MAX_SOURCE: usize = 1_024;
/// Bytes of its compiled form, and of the states that are made of it on the way.
const MAX_COMPILED: usize = 1 << 20;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    automaton: DFA,
}

/// An expression that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{source_text}` is no expression that is supported: {why}; it has to match the whole of `<host>/<repository>:<tag>`"
)]
pub struct ExpressionError {
    source_text: String,
    why: String,
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(source: &str) -> Result<Self, ExpressionError> {
        let error = |why: String| ExpressionError { source_text: source.chars().take(80).collect(), why };
        if source.is_empty() || source.len() > MAX_SOURCE {
            return Err(error(format!("it is empty, or longer than {MAX_SOURCE} characters")));
        }
        let automaton = DFA::builder()
            .configure(DFA::config().cache_capacity(MAX_COMPILED).skip_cache_capacity_check(true))
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED)))
            // References are ASCII.
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build(&format!("(?:{source})$"))
            .map_err(|error_of_syntax| error(last_line(&error_of_syntax)))?;
        Ok(Self { source: source.to_owned(), automaton })
    }
}

impl Expression {
    /// Whether the whole subject matches.
    pub fn matches(&self, subject: &str) -> bool {
        let mut cache = self.automaton.create_cache();
        let input = Input::new(subject).anchored(Anchored::Yes);
        // The one failure is a cache that is too small, which is cleared instead.
        self.automaton.try_search_fwd(&mut cache, &input).is_ok_and(|found| found.is_some())
    }

    /// Whether any subject that begins with `prefix` can match.
    pub(super) fn matches_some_below(&self, prefix: &str) -> bool {
        let mut cache = self.automaton.create_cache();
        let start = Input::new("").anchored(Anchored::Yes);
        let Ok(mut state) = self.automaton.start_state_forward(&mut cache, &start) else { return true };
        for byte in prefix.bytes() {
            match self.automaton.next_state(&mut cache, state, byte) {
                Ok(next) if next.is_dead() => return false,
                Ok(next) => state = next,
                // Not known: such a repository is not denied as a whole, and each of its tags still is.
                Err(_full) => return true,
            }
        }
        true
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// The cause at the bottom, in one line: what is above it repeats the expression.
fn last_line(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let text = cause.to_string();
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expression(source: &str) -> Expression {
        source.parse().unwrap()
    }

    #[test]
    fn the_whole_subject_has_to_match() {
        let semver = expression(r"ghcr\.io/org/[a-z]+:v\d+\.\d+\.\d+");
        assert!(semver.matches("ghcr.io/org/app:v1.20.3"));
        for other in [
            "ghcr.io/org/app:v1.2",
            "ghcr.io/org/app:v1.2.3-rc1",
            "xghcr.io/org/app:v1.2.3",
            "ghcr.io/org/a/b:v1.2.3",
        ] {
            assert!(!semver.matches(other), "{other}");
        }
        assert!(expression("a|b").matches("b") && !expression("a|b").matches("ab"));
    }

    #[test]
    fn an_expression_knows_of_repositories_that_none_of_its_tags_is_in() {
        let one = expression(r"ghcr\.io/org/(app|web):v.*");
        assert!(one.matches_some_below("ghcr.io/org/app:"));
        assert!(!one.matches_some_below("ghcr.io/org/api:"));
        assert!(!one.matches_some_below("quay.io/org/app:"));
        assert!(expression(".*").matches_some_below("anything/at/all:"));
    }

    #[test]
    fn what_is_no_expression_says_why() {
        for (source, words) in [
            ("", "empty"),
            ("(", "unclosed group"),
            ("a{99999}", "exceed"),
            (r"(?=a)b", "look-around"),
            (r"(a)\1", "backreference"),
            ("((((a{99}){99}){99}){99})", "exceed"),
        ] {
            let error = source.parse::<Expression>().unwrap_err().to_string();
            assert!(error.contains(words), "{source}: {error}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(source in "[a-z.*+?()|\\[\\]{}0-9:/\\\\]{1,20}") {
            if let Ok(parsed) = source.parse::<Expression>() {
                prop_assert_eq!(parsed.to_string(), source);
            }
        }
    }
}
