//! Regular expressions over `<host>/<repository>:<tag>`, for what globs cannot say.
//!
//! Anchored at both ends, without look-around or back references, so that matching takes linear time. Knows nothing of
//! actions.

use std::fmt;
use std::str::FromStr;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
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
        // References are ASCII.
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        // By itself first: what is no expression could escape from the group below.
        syntax::parse_with(source, &syntax).map_err(|wrong| error(last_line(&wrong)))?;
        let automaton = DFA::builder()
            .configure(DFA::config().cache_capacity(MAX_COMPILED).skip_cache_capacity_check(true))
            .thompson(regex_automata::nfa::thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED)))
            .syntax(syntax)
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

    /// A way through it, character by character.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { automaton: &self.automaton, cache: self.automaton.create_cache(), cleared: 0 }
    }
}

/// An expression that is walked through. `None` throughout: its memory was full and forgot the states.
pub(super) struct Walk<'a> {
    automaton: &'a DFA,
    cache: Cache,
    /// How often its memory was cleared before there were states to keep.
    cleared: usize,
}

/// Where a walk is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct State(LazyStateID);

impl Walk<'_> {
    /// Where it is after `prefix`; states from before are forgotten.
    pub(super) fn after(&mut self, prefix: &str) -> Option<State> {
        let start = Input::new("").anchored(Anchored::Yes);
        let mut state = self.automaton.start_state_forward(&mut self.cache, &start).ok()?;
        for byte in prefix.bytes() {
            state = self.automaton.next_state(&mut self.cache, state, byte).ok()?;
        }
        self.cleared = self.cache.clear_count();
        Some(State(state))
    }

    /// Where it is one character later.
    pub(super) fn next(&mut self, State(state): State, byte: u8) -> Option<State> {
        let next = self.automaton.next_state(&mut self.cache, state, byte).ok()?;
        (self.cache.clear_count() == self.cleared).then_some(State(next))
    }

    /// Whether all that was read matches.
    pub(super) fn matches(&mut self, State(state): State) -> Option<bool> {
        let end = self.automaton.next_eoi_state(&mut self.cache, state).ok()?;
        (self.cache.clear_count() == self.cleared).then_some(end.is_match())
    }

    /// The same for characters that it never tells apart.
    pub(super) fn kind(&self, byte: u8) -> u8 {
        self.automaton.byte_classes().get(byte)
    }
}

impl State {
    pub(super) fn is_dead(self) -> bool {
        self.0.is_dead()
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
    fn what_is_no_expression_says_why() {
        for (source, words) in [
            ("", "empty"),
            ("(", "unclosed group"),
            ("a)|(?:b", "unopened group"),
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
