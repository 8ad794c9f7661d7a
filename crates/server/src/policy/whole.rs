//! Whether every tag of a repository is denied, by all rules together.
//!
//! Rules are walked through all tags there can be, shorter ones first, until one is found that is not denied. Where they
//! look alike after different tags they are followed once, so that the walk ends.

use std::collections::{HashSet, VecDeque};

use super::expression;
use super::pattern::Pattern;
use super::{Matcher, Rule};

/// Characters of a tag, which is `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
const MAX_TAG: usize = 128;
/// Characters that all rules together are given to read for one answer: milliseconds. Beyond that it is given up.
const MAX_STEPS: usize = 65_536;

/// The place of a rule that denies, if each tag below `prefix` (`<host>/<repository>:`) is denied; `denies` says which
/// rules do. Where that is too tangled to be decided, and none of the other rules has a tag that is not denied, it is.
pub(super) fn denial(rules: &[Rule], denies: impl Fn(&Rule) -> bool, prefix: &str) -> Option<usize> {
    // Most policies deny nothing.
    let first = rules.iter().position(&denies)?;
    let mut ways = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let mut walk = Walk::of(&rule.matcher);
        match walk.after(prefix) {
            None => return Some(first),
            Some(start) if start.is_dead() => {}
            Some(start) => ways.push(Way { place, denies: denies(rule), walk, start }),
        }
    }
    let first = ways.iter().find(|way| way.denies)?.place;
    let mut left = MAX_STEPS;
    // A list of allowed tags is a tangle, but the first of them that is not denied before settles the matter.
    for own in ways.chunks_mut(1).filter(|own| own.iter().all(|way| !way.denies)) {
        let Some(Some(tag)) = shortest(own, &mut left, |way| way.is_some()) else { continue };
        let subject = format!("{prefix}{tag}");
        if rules.iter().find(|rule| rule.matcher.matches(&subject)).is_some_and(|rule| !denies(rule)) {
            return None;
        }
    }
    match shortest(&mut ways, &mut left, |way| way.is_none_or(|way| !way.denies)) {
        Some(Some(_tag)) => None,
        Some(None) | None => Some(first),
    }
}

/// A rule that may match a tag.
struct Way<'a> {
    place: usize,
    denies: bool,
    walk: Walk<'a>,
    /// Before the tag.
    start: State,
}

/// Where the ways are, by their number; those that can match no more are left out.
type States = Vec<(usize, State)>;

/// The shortest tag for which the deciding rule is one that is sought, if any. `None` if there may be one.
fn shortest(
    ways: &mut [Way<'_>],
    left: &mut usize,
    sought: impl Fn(Option<&Way<'_>>) -> bool,
) -> Option<Option<String>> {
    let (firsts, others) = (alike(ways, |byte| !matches!(byte, b'.' | b'-')), alike(ways, |_| true));
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([(before(ways), String::new())]));
    while let Some((states, tag)) = queue.pop_front() {
        for byte in if tag.is_empty() { &firsts } else { &others } {
            *left = left.checked_sub(states.len())?;
            let next = step(ways, &states, *byte)?;
            if seen.contains(&next) {
                continue;
            }
            let mut longer = tag.clone();
            longer.push(char::from(*byte));
            if sought(deciding(ways, &next)?) {
                return Some(Some(longer));
            }
            seen.insert(next.clone());
            if longer.len() < MAX_TAG {
                queue.push_back((next, longer));
            }
        }
    }
    Some(None)
}

fn before(ways: &[Way<'_>]) -> States {
    ways.iter().map(|way| way.start.clone()).enumerate().collect()
}

fn step(ways: &mut [Way<'_>], states: &States, byte: u8) -> Option<States> {
    let mut next = States::new();
    for (number, state) in states {
        let state = ways.get_mut(*number)?.walk.next(state, byte)?;
        if !state.is_dead() {
            next.push((*number, state));
        }
    }
    Some(next)
}

/// The first rule that matches here, as `Policy::decide` has it.
fn deciding<'w, 'a>(ways: &'w mut [Way<'a>], states: &States) -> Option<Option<&'w Way<'a>>> {
    for (number, state) in states {
        if ways.get_mut(*number)?.walk.matches(state)? {
            return Some(ways.get(*number));
        }
    }
    Some(None)
}

/// One character for all that no rule tells apart.
fn alike(ways: &[Way<'_>], allowed: impl Fn(u8) -> bool) -> Vec<u8> {
    let of_tags = (0..=u8::MAX).filter(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    let mut kinds = HashSet::new();
    of_tags
        .filter(|byte| allowed(*byte))
        .filter(|byte| kinds.insert(ways.iter().map(|way| way.walk.kind(*byte)).collect::<Vec<u8>>()))
        .collect()
}

/// A rule's automaton.
enum Walk<'a> {
    Glob(&'a Pattern),
    Regex(Box<expression::Walk<'a>>),
}

/// Where it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum State {
    Glob(Vec<bool>),
    Regex(expression::State),
}

/// `None` throughout: what is known of it was forgotten on the way.
impl<'a> Walk<'a> {
    fn of(matcher: &'a Matcher) -> Self {
        match matcher {
            Matcher::Glob(pattern) => Self::Glob(pattern),
            Matcher::Regex(expression) => Self::Regex(Box::new(expression.walk())),
        }
    }

    fn after(&mut self, prefix: &str) -> Option<State> {
        match self {
            Self::Glob(pattern) => Some(State::Glob(pattern.after(prefix))),
            Self::Regex(walk) => walk.after(prefix).map(State::Regex),
        }
    }

    fn next(&mut self, state: &State, byte: u8) -> Option<State> {
        Some(match (self, state) {
            (Self::Glob(pattern), State::Glob(active)) => State::Glob(pattern.next(active, byte)),
            (Self::Regex(walk), State::Regex(state)) => State::Regex(walk.next(*state, byte)?),
            _ => return None,
        })
    }

    fn matches(&mut self, state: &State) -> Option<bool> {
        match (self, state) {
            (Self::Glob(_), State::Glob(active)) => Some(active.last().copied().unwrap_or(false)),
            (Self::Regex(walk), State::Regex(state)) => walk.matches(*state),
            _ => None,
        }
    }

    /// The same for characters that it never tells apart.
    fn kind(&self, byte: u8) -> u8 {
        match self {
            Self::Glob(pattern) if pattern.names(byte) => byte,
            Self::Glob(_) => 0,
            Self::Regex(walk) => walk.kind(byte),
        }
    }
}

impl State {
    /// Whether nothing that follows can match.
    fn is_dead(&self) -> bool {
        match self {
            Self::Glob(active) => !active.contains(&true),
            Self::Regex(state) => state.is_dead(),
        }
    }
}
