//! Whether every tag of a repository is denied, by all rules together.
//!
//! A tag can be pulled if a rule that allows has it and no rule before that denies it, or if no rule at all denies it. Such
//! a tag is sought among all there can be, shorter ones first. Rules that deny are followed at all their places at once; of
//! the one that allows one place is enough, so that it takes no more steps than it has places, however it is tangled.

use std::collections::{HashSet, VecDeque};

use super::expression::Expression;
use super::places::Places;
use super::{Matcher, Rule};

/// Characters of a tag, which is `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
const MAX_TAG: usize = 128;
/// Places that all rules together are followed at for one answer: milliseconds. Beyond that it is given up.
const MAX_STEPS: usize = 65_536;

/// What is known of a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// There is a tag that is not denied.
    Open,
    /// There is none; the place of the first rule that denies one.
    Denied(usize),
    /// The rules are too tangled to tell; the place of the first rule that denies a tag.
    Undecided(usize),
}

/// A rule that may match a tag.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Way {
    /// Of the rule.
    place: usize,
    denies: bool,
    /// Where it is before the tag.
    start: Places,
}

/// Too many steps.
struct Tangled;

/// The rules that may match a tag below `prefix` (`<host>/<repository>:`). The verdict depends on nothing else.
pub(super) fn ways(rules: &[Rule], denies: impl Fn(&Rule) -> bool, prefix: &str) -> Vec<Way> {
    let all = rules.iter().enumerate().map(|(place, rule)| {
        let start = rule.matcher.after(prefix);
        Way { place, denies: denies(rule), start }
    });
    all.filter(|way| !way.start.is_dead()).collect()
}

/// Whether all tags are denied.
pub(super) fn verdict(rules: &[Rule], ways: &[Way]) -> Verdict {
    let Some(first) = ways.iter().find(|way| way.denies).map(|way| way.place) else { return Verdict::Open };
    let before = |end: usize| -> Vec<&Way> { ways.iter().take(end).filter(|way| way.denies).collect() };
    let allowing = || ways.iter().enumerate().filter(|(_, way)| !way.denies);
    // A long list of allowed tags: nearly always the first of them settles the matter.
    let mut left = MAX_STEPS;
    for (number, way) in allowing() {
        let Ok(Some(tag)) = shortest(rules, Some(way), &[], &mut left) else { continue };
        if !before(number).iter().any(|denying| denying.has(rules, &tag)) {
            return Verdict::Open;
        }
    }
    let mut left = MAX_STEPS;
    let allowed = allowing().map(|(number, way)| (Some(way), before(number)));
    for (way, denying) in allowed.chain([(None, before(ways.len()))]) {
        match shortest(rules, way, &denying, &mut left) {
            Ok(None) => {}
            Ok(Some(_tag)) => return Verdict::Open,
            Err(Tangled) => return Verdict::Undecided(first),
        }
    }
    Verdict::Denied(first)
}

impl Way {
    /// How much there is to remember of it.
    pub(super) fn weight(&self) -> usize {
        1 + self.start.at.len()
    }

    fn has(&self, rules: &[Rule], tag: &str) -> bool {
        let Some(rule) = rules.get(self.place) else { return false };
        let end = tag.bytes().fold(self.start.clone(), |places, byte| rule.matcher.next(&places, byte));
        rule.matcher.ends_at(&end)
    }
}

/// Where an allowing rule is, at one place, and where those are that deny, by their number; dead ones are left out.
type State = (Option<Places>, Vec<(usize, Places)>);

/// The shortest tag that `allowing` has, or any at all, and none of `denying`.
fn shortest(
    rules: &[Rule],
    allowing: Option<&Way>,
    denying: &[&Way],
    left: &mut usize,
) -> Result<Option<String>, Tangled> {
    let matcher = |way: &Way| rules.get(way.place).map(|rule| &rule.matcher);
    let allows = allowing.and_then(matcher);
    let denies: Vec<&Matcher> = denying.iter().filter_map(|way| matcher(way)).collect();
    let (firsts, others) = alike(&[allows.as_slice(), &denies].concat());
    let starts = denying.iter().map(|way| way.start.clone()).enumerate().collect::<Vec<_>>();
    let mut queue: VecDeque<(State, String)> = match allowing {
        Some(way) => way.start.apart().map(|place| ((Some(place), starts.clone()), String::new())).collect(),
        None => VecDeque::from([((None, starts), String::new())]),
    };
    let mut seen: HashSet<State> = HashSet::new();
    while let Some(((place, places), tag)) = queue.pop_front() {
        for byte in if tag.is_empty() { &firsts } else { &others } {
            let steps = 1 + places.iter().map(|(_, places)| places.at.len()).sum::<usize>();
            *left = left.checked_sub(steps).ok_or(Tangled)?;
            let next = allows.zip(place.as_ref()).map(|(matcher, place)| matcher.next(place, *byte));
            if next.as_ref().is_some_and(Places::is_dead) {
                continue;
            }
            let reached = |(number, places): &(usize, Places)| {
                let next = denies.get(*number)?.next(places, *byte);
                (!next.is_dead()).then_some((*number, next))
            };
            let all: Vec<(usize, Places)> = places.iter().filter_map(reached).collect();
            let ends = |(number, places): &(usize, Places)| {
                denies.get(*number).is_some_and(|matcher| matcher.ends_at(places))
            };
            let longer = || tag.chars().chain([char::from(*byte)]).collect::<String>();
            let is_allowed = allows.zip(next.as_ref()).is_none_or(|(matcher, next)| matcher.ends_at(next));
            if is_allowed && !all.iter().any(ends) {
                return Ok(Some(longer()));
            }
            if tag.len() + 1 == MAX_TAG {
                continue;
            }
            let nexts = match next {
                Some(next) => next.apart().map(Some).collect(),
                None => vec![None],
            };
            for next in nexts {
                let state = (next, all.clone());
                if !seen.contains(&state) {
                    seen.insert(state.clone());
                    queue.push_back((state, longer()));
                }
            }
        }
    }
    Ok(None)
}

/// The shortest text up to a colon after which a rule may match.
pub(super) fn shortest_prefix(rule: &Matcher) -> Option<String> {
    let mut queue: VecDeque<(Places, String)> =
        rule.after("").apart().map(|place| (place, String::new())).collect();
    let (mut seen, mut left) = (HashSet::new(), MAX_STEPS);
    while let Some((place, text)) = queue.pop_front() {
        for byte in b'-'..=b'z' {
            left = left.checked_sub(1)?;
            let next = rule.next(&place, byte);
            let longer = || text.chars().chain([char::from(byte)]).collect::<String>();
            if byte == b':' && !next.is_dead() {
                return Some(longer());
            }
            for next in next.apart().filter(|next| seen.insert(next.clone())).collect::<Vec<_>>() {
                queue.push_back((next, longer()));
            }
        }
    }
    None
}

/// One character for all that no rule tells apart: of those that a tag may begin with, and of all that it may have.
fn alike(rules: &[&Matcher]) -> (Vec<u8>, Vec<u8>) {
    let expressions: Vec<&Expression> = rules.iter().filter_map(|rule| rule.expression()).collect();
    let named: HashSet<u8> = rules.iter().flat_map(|rule| rule.named()).collect();
    let kinds = |allowed: &[u8]| {
        let mut kinds = HashSet::new();
        let kind = |byte: u8| {
            let by_expressions =
                expressions.iter().map(|expression| expression.kind(byte)).collect::<Vec<_>>();
            (named.get(&byte).copied(), by_expressions)
        };
        let is_new = |byte: &&u8| kinds.insert(kind(**byte));
        allowed.iter().filter(is_new).copied().collect::<Vec<u8>>()
    };
    let firsts: Vec<u8> =
        (0..=u8::MAX).filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').collect();
    (kinds(&firsts), kinds(&[firsts.as_slice(), b".-"].concat()))
}
