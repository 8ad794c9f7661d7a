//! Which rule decides about a tag: freeze, observe, follow, pass or deny.
//!
//! Pure: a canonical name and tag go in, a [`Decision`] comes out. Knows nothing of records,
//! registries or HTTP; what a frozen record means whatever the policy says is `resolve`'s matter.

mod action;
mod expression;
mod pattern;
mod places;
mod whole;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci::{Name, Tag};

pub use self::action::{Action, Mode, OnGone, OnMove, OnYoung};
pub use self::expression::{Expression, ExpressionError};
pub use self::pattern::{Pattern, PatternError};
use self::places::Places;
use self::whole::{Verdict, Way};

/// Verdicts remembered, of no more rules and places than that.
const MAX_REMEMBERED: usize = 256;
const MAX_WEIGHT: usize = 4_096;

/// What a rule is matched by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Matcher {
    /// `match`
    Glob(Pattern),
    /// `match_regex`
    Regex(Box<Expression>),
}

impl Matcher {
    /// Whether it matches `<host>/<repository>:<tag>`.
    pub fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Glob(pattern) => pattern.matches(subject),
            Self::Regex(expression) => expression.matches(subject),
        }
    }

    /// Where it is after `prefix`.
    fn after(&self, prefix: &str) -> Places {
        match self {
            Self::Glob(pattern) => pattern.after(prefix),
            Self::Regex(expression) => expression.after(prefix),
        }
    }

    /// Where it is one character later.
    fn next(&self, places: &Places, byte: u8) -> Places {
        match self {
            Self::Glob(pattern) => pattern.next(places, byte),
            Self::Regex(expression) => expression.next(places, byte),
        }
    }

    /// Whether all that was read matches.
    fn ends_at(&self, places: &Places) -> bool {
        match self {
            Self::Glob(pattern) => pattern.ends_at(places),
            Self::Regex(expression) => expression.ends_at(places),
        }
    }

    /// Characters that a glob tells from all others.
    fn named(&self) -> impl Iterator<Item = u8> {
        let pattern = match self {
            Self::Glob(pattern) => Some(pattern),
            Self::Regex(_) => None,
        };
        pattern.into_iter().flat_map(Pattern::named)
    }

    fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Glob(_) => None,
            Self::Regex(expression) => Some(expression),
        }
    }
}

/// One `[[policy]]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Matched against `<host>/<repository>:<tag>`.
    pub matcher: Matcher,
    /// What happens on a match.
    pub action: Action,
    /// What it says besides.
    pub terms: Terms,
}

/// What a rule says besides its action; what it leaves open is general.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// Overrides the general `on_move`.
    pub on_move: Option<OnMove>,
    /// Overrides the general `on_gone`.
    pub on_gone: Option<OnGone>,
    /// Overrides the general `mode`.
    pub mode: Option<Mode>,
    /// How long the log has to know a digest before it is served.
    pub min_age: Option<Duration>,
    /// What a younger one gets.
    pub on_young: OnYoung,
}

/// What holds where no rule says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Defaults {
    /// What a moved tag gets.
    pub on_move: OnMove,
    /// What a tag that upstream removed gets.
    pub on_gone: OnGone,
    /// Whether refusals are real.
    pub mode: Mode,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { on_move: OnMove::Refuse, on_gone: OnGone::Refuse, mode: Mode::Enforce }
    }
}

/// Why a decision is what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The n-th `[[policy]]` table, counted from 1.
    Rule {
        /// Its place, counted from 1.
        number: usize,
        /// Its `match`.
        pattern: String,
    },
    /// A tag that the protocol itself rewrites (signatures, referrers fallback).
    ProtocolTag,
    /// No rule matched.
    Default,
}

/// The outcome for one tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What happens.
    pub action: Action,
    /// What a moved tag gets.
    pub on_move: OnMove,
    /// What a tag that upstream removed gets.
    pub on_gone: OnGone,
    /// Whether refusals are real.
    pub mode: Mode,
    /// How long the log has to know a digest before it is served.
    pub min_age: Option<Duration>,
    /// What a younger one gets.
    pub on_young: OnYoung,
    /// Which rule decided.
    pub reason: Reason,
}

impl Decision {
    /// What happens, where a denial that is only tried out counts as observing.
    pub fn effective(&self) -> Action {
        if self.action == Action::Deny && self.is_dry_run() { Action::Observe } else { self.action }
    }

    /// Whether a refusal is only told.
    pub fn is_dry_run(&self) -> bool {
        self.mode == Mode::DryRun
    }
}

/// All rules, in order; the first match wins.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    defaults: Defaults,
    /// What was found of repositories in which the rules are at the same places: nearly all, whatever clients name.
    remembered: Arc<Mutex<HashMap<Vec<Way>, Verdict>>>,
}

impl Policy {
    /// A policy of `rules` in order, with `defaults` for rules that do not say.
    pub fn new(rules: Vec<Rule>, defaults: Defaults) -> Self {
        Self { rules, defaults, remembered: Arc::default() }
    }

    /// What holds where no rule says otherwise.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// The rules in the order in which they are asked.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Decides about one canonical tag.
    ///
    /// Tags that the protocol itself rewrites pass through unless a rule denies them: freezing
    /// one would break the signature or the referrers list that it holds.
    pub fn decide(&self, name: &Name, tag: &Tag) -> Decision {
        let subject = format!("{name}:{tag}");
        let matched = self.rules.iter().enumerate().find(|(_, rule)| rule.matcher.matches(&subject));
        if is_protocol_tag(tag.as_str()) && matched.is_none_or(|(_, rule)| rule.action != Action::Deny) {
            return self.decision(Action::Pass, Terms::default(), Reason::ProtocolTag);
        }
        match matched {
            Some((place, rule)) => self.decision(rule.action, rule.terms, rule.reason(place)),
            None => self.decision(Action::Freeze, Terms::default(), Reason::Default),
        }
    }

    fn decision(&self, action: Action, terms: Terms, reason: Reason) -> Decision {
        Decision {
            action,
            on_move: terms.on_move.unwrap_or(self.defaults.on_move),
            on_gone: terms.on_gone.unwrap_or(self.defaults.on_gone),
            mode: terms.mode.unwrap_or(self.defaults.mode),
            min_age: terms.min_age,
            on_young: terms.on_young,
            reason,
        }
    }

    /// Decides about what has no tag: digests, blobs and lists of a repository. They are denied where every tag
    /// of it is; a repository with one tag that may be pulled has to give the digests behind it.
    pub fn denies_repository(&self, name: &Name) -> Option<Reason> {
        match self.verdict(&format!("{name}:")) {
            Verdict::Open => None,
            // On doubt a clear refusal.
            Verdict::Denied(place) | Verdict::Undecided(place) => Some(self.rules.get(place)?.reason(place)),
        }
    }

    /// Whether a repository is denied only because the rules are too tangled to tell whether each tag of it is.
    pub fn is_undecided_about(&self, name: &Name) -> bool {
        matches!(self.verdict(&format!("{name}:")), Verdict::Undecided(_))
    }

    /// The rules that deny and, at the first place where they may match a tag, cannot be decided about.
    pub fn undecided(&self) -> Vec<Reason> {
        let denying = self.rules.iter().enumerate().filter(|(_, rule)| self.denies(rule));
        let undecided = denying.filter(|(_, rule)| {
            let prefix = whole::shortest_prefix(&rule.matcher);
            prefix.is_some_and(|prefix| matches!(self.verdict(&prefix), Verdict::Undecided(_)))
        });
        undecided.map(|(place, rule)| rule.reason(place)).collect()
    }

    fn denies(&self, rule: &Rule) -> bool {
        rule.action == Action::Deny && rule.terms.mode.unwrap_or(self.defaults.mode) == Mode::Enforce
    }

    fn verdict(&self, prefix: &str) -> Verdict {
        // Most policies deny nothing.
        if !self.rules.iter().any(|rule| self.denies(rule)) {
            return Verdict::Open;
        }
        let ways = whole::ways(&self.rules, |rule| self.denies(rule), prefix);
        let remembered = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = remembered().get(&ways) {
            return *verdict;
        }
        let verdict = whole::verdict(&self.rules, &ways);
        if ways.iter().map(Way::weight).sum::<usize>() <= MAX_WEIGHT {
            let mut remembered = remembered();
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(ways, verdict);
        }
        verdict
    }
}

impl Rule {
    fn reason(&self, place: usize) -> Reason {
        Reason::Rule { number: place + 1, pattern: self.matcher.to_string() }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(pattern) => pattern.fmt(f),
            Self::Regex(expression) => expression.fmt(f),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { number, pattern } => write!(f, "rule {number} (`{pattern}`)"),
            Self::ProtocolTag => f.write_str("built in: a tag that the protocol itself rewrites"),
            Self::Default => f.write_str("default: no rule matches"),
        }
    }
}

/// `^sha(256|512)-[0-9a-f]{64}(\.(sig|att|sbom))?$`: cosign's tags and the referrers fallback.
fn is_protocol_tag(tag: &str) -> bool {
    let Some(rest) = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-")) else {
        return false;
    };
    let Some((hex, suffix)) = rest.split_at_checked(64) else { return false };
    hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && matches!(suffix, "" | ".sig" | ".att" | ".sbom")
}

#[cfg(test)]
mod tests;
