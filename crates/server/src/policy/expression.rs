//! Regular expressions over `<host>/<repository>:<tag>`, for what globs cannot say.
//!
//! Anchored at both ends, without look-around or back references, so that matching takes linear time. Knows nothing of
//! actions.

use std::fmt;
use std::str::FromStr;

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson::State;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::places::Places;

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

    /// Where it is after `prefix`.
    pub(super) fn after(&self, prefix: &str) -> Places {
        let start = self.automaton.get_nfa().start_anchored().as_usize();
        let mut places = Places { at: vec![start], behind: None };
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
        let nfa = self.automaton.get_nfa();
        let targets = self.reached(places, Some(byte)).into_iter().filter_map(|state| match state {
            State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
            State::Sparse(several) => several.matches_byte(byte),
            State::Dense(all) => all.matches_byte(byte),
            _ => None,
        });
        let mut at: Vec<usize> = targets.map(|state| state.as_usize()).collect();
        at.sort_unstable();
        at.dedup();
        // Of what lies behind only that counts, and only for `\b` and its like.
        let is_word = nfa.look_set_any().contains_word() && (byte.is_ascii_alphanumeric() || byte == b'_');
        Places { at, behind: Some(if is_word { b'a' } else { b':' }) }
    }

    /// Whether all that was read matches.
    pub(super) fn ends_at(&self, places: &Places) -> bool {
        self.reached(places, None).into_iter().any(|state| matches!(state, State::Match { .. }))
    }

    /// The same for characters that it never tells apart.
    pub(super) fn kind(&self, byte: u8) -> u8 {
        self.automaton.byte_classes().get(byte)
    }

    /// All states that are reached without reading, where `ahead` is what is read next.
    fn reached(&self, places: &Places, ahead: Option<u8>) -> Vec<&State> {
        let nfa = self.automaton.get_nfa();
        let text: Vec<u8> = places.behind.into_iter().chain(ahead).collect();
        let here = usize::from(places.behind.is_some());
        let (mut seen, mut states, mut open) =
            (vec![false; nfa.states().len()], Vec::new(), places.at.clone());
        while let Some(place) = open.pop() {
            let (Some(state), Some(seen)) = (nfa.states().get(place), seen.get_mut(place)) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            match state {
                State::Look { look, next } if nfa.look_matcher().matches(*look, &text, here) => {
                    open.push(next.as_usize());
                }
                State::Union { alternates } => open.extend(alternates.iter().map(|id| id.as_usize())),
                State::BinaryUnion { alt1, alt2 } => open.extend([alt1.as_usize(), alt2.as_usize()]),
                State::Capture { next, .. } => open.push(next.as_usize()),
                state => states.push(state),
            }
        }
        states
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
        fn what_is_read_character_by_character_matches_as_the_whole_does(
            source in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", ":", "-", ".", ".*", "[ab]+", "(a|b-)", "a{2,3}", r"\b", r"\B", "^", "$", "(?m:^)", "(?m:$)",
                    r"\b{start}", "(?i)A", "|", "()", "a*?",
                ]),
                1..6,
            ),
            subject in "[ab:-]{0,6}",
        ) {
            if let Ok(expression) = source.concat().parse::<Expression>() {
                prop_assert_eq!(expression.ends_at(&expression.after(&subject)), expression.matches(&subject));
            }
        }

        #[test]
        fn printing_and_parsing_are_inverse(source in "[a-z.*+?()|\\[\\]{}0-9:/\\\\]{1,20}") {
            if let Ok(parsed) = source.parse::<Expression>() {
                prop_assert_eq!(parsed.to_string(), source);
            }
        }
    }
}
