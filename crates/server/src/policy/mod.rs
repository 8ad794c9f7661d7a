//! Which rule decides about a tag: freeze, observe, follow, pass or deny.
//!
//! Pure: a canonical name and tag go in, a [`Decision`] comes out. Knows nothing of records,
//! registries or HTTP; what a frozen record means whatever the policy says is `resolve`'s matter.

mod action;
mod expression;
mod pattern;
mod whole;

use std::fmt;
use std::time::Duration;

use oci::{Name, Tag};

pub use self::action::{Action, Mode, OnGone, OnMove, OnYoung};
pub use self::expression::{Expression, ExpressionError};
pub use self::pattern::{Pattern, PatternError};

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
}

impl Policy {
    /// A policy of `rules` in order, with `defaults` for rules that do not say.
    pub fn new(rules: Vec<Rule>, defaults: Defaults) -> Self {
        Self { rules, defaults }
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
        let denies = |rule: &Rule| {
            rule.action == Action::Deny && rule.terms.mode.unwrap_or(self.defaults.mode) == Mode::Enforce
        };
        let place = whole::denial(&self.rules, denies, &format!("{name}:"))?;
        Some(self.rules.get(place)?.reason(place))
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(pattern: &str, action: Action) -> Rule {
        let matcher = match pattern.strip_prefix("regex ") {
            Some(expression) => Matcher::Regex(Box::new(expression.parse().unwrap())),
            None => Matcher::Glob(pattern.parse().unwrap()),
        };
        Rule { matcher, action, terms: Terms::default() }
    }

    fn decide(rules: &[(&str, Action)], name: &str, tag: &str) -> Decision {
        let rules = rules.iter().map(|(pattern, action)| rule(pattern, *action)).collect();
        Policy::new(rules, Defaults::default())
            .decide(&Name::parse_canonical(name).unwrap(), &Tag::parse(tag).unwrap())
    }

    #[test]
    fn a_tag_that_no_rule_matches_is_frozen() {
        let decision = decide(&[], "ghcr.io/org/app", "v1");
        assert_eq!(decision.action, Action::Freeze);
        assert_eq!(decision.reason, Reason::Default);
    }

    #[test]
    fn the_first_matching_rule_wins() {
        let rules = [("ghcr.io/org/*:latest", Action::Observe), ("ghcr.io/**", Action::Deny)];
        assert_eq!(decide(&rules, "ghcr.io/org/app", "latest").action, Action::Observe);
        assert_eq!(decide(&rules, "ghcr.io/org/app", "v1").action, Action::Deny);
        assert_eq!(decide(&rules, "quay.io/org/app", "v1").action, Action::Freeze);
    }

    #[test]
    fn tags_that_the_protocol_rewrites_pass_unless_denied() {
        let hex = "a".repeat(64);
        for tag in [format!("sha256-{hex}"), format!("sha512-{hex}"), format!("sha256-{hex}.sig")] {
            assert_eq!(decide(&[("**", Action::Freeze)], "ghcr.io/org/app", &tag).action, Action::Pass);
            assert_eq!(decide(&[("**", Action::Deny)], "ghcr.io/org/app", &tag).action, Action::Deny);
        }
    }

    #[test]
    fn a_repository_is_denied_where_each_of_its_tags_is() {
        assert!(denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/evil/app"));
        assert!(denied(&[("ghcr.io/evil/*:*", Action::Deny)], "ghcr.io/evil/app"));
        assert!(!denied(&[("ghcr.io/evil/*:v*", Action::Deny)], "ghcr.io/evil/app"));
        assert!(!denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/good/app"));
        let some_allowed = [("ghcr.io/evil/app:v1", Action::Freeze), ("**", Action::Deny)];
        assert!(!denied(&some_allowed, "ghcr.io/evil/app"));
        assert!(denied(&some_allowed, "ghcr.io/evil/app2"));
        assert!(!denied(&[], "ghcr.io/evil/app"));
        let by_regex =
            [(r"regex ghcr\.io/good/app:v\d+", Action::Freeze), (r"regex ghcr\.io/.*", Action::Deny)];
        assert!(!denied(&by_regex, "ghcr.io/good/app"));
        assert!(denied(&by_regex, "ghcr.io/evil/app"));
    }

    fn denied(rules: &[(&str, Action)], name: &str) -> bool {
        let rules = rules.iter().map(|(pattern, action)| rule(pattern, *action));
        let name = Name::parse_canonical(name).unwrap();
        Policy::new(rules.collect(), Defaults::default()).denies_repository(&name).is_some()
    }

    #[test]
    fn an_expression_denies_a_repository_where_it_matches_every_tag_that_there_can_be() {
        for (tags, every) in [
            (".*", true),
            (".+", true),
            (r"[\w.-]+", true),
            (r"\w[\w.-]{0,127}", true),
            ("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", true),
            ("[^.-].*", true),
            ("[^/:]*", true),
            ("(v.*|[^v].*)", true),
            ("(?i)[a-z0-9_][a-z0-9_.-]*", true),
            (r"\w[\w.-]{0,126}", false),
            (r"\w[\w.-]{1,127}", false),
            (r"\w+", false),
            ("[a-z].*", false),
            ("v.*", false),
        ] {
            let pattern = format!(r"regex ghcr\.io/evil/.*:{tags}");
            assert_eq!(denied(&[(&pattern, Action::Deny)], "ghcr.io/evil/app"), every, "{tags}");
            assert!(!denied(&[(&pattern, Action::Deny)], "ghcr.io/good/app"), "{tags}");
        }
    }

    #[test]
    fn rules_that_deny_every_tag_together_deny_the_repository() {
        let halves = [
            ("ghcr.io/evil/app:v*", Action::Deny),
            ("ghcr.io/evil/app:v1", Action::Freeze),
            (r"regex ghcr\.io/evil/.*:[^v].*", Action::Deny),
        ];
        assert!(denied(&halves, "ghcr.io/evil/app"), "what is allowed was denied before");
        assert!(!denied(&halves[1..], "ghcr.io/evil/app"));
        assert!(!denied(&halves, "ghcr.io/evil/other"));
    }

    #[test]
    fn a_long_list_of_allowed_tags_denies_no_repository() {
        let tags: Vec<String> = (0..200).map(|n| format!("ghcr.io/org/app:{n:040x}")).collect();
        let mut rules: Vec<_> = tags.iter().map(|tag| (tag.as_str(), Action::Freeze)).collect();
        rules.push(("**", Action::Deny));
        assert!(!denied(&rules, "ghcr.io/org/app"));
        assert!(denied(&rules, "ghcr.io/org/other"));
        rules.insert(0, ("ghcr.io/org/app:000*", Action::Deny));
        assert!(denied(&rules, "ghcr.io/org/app"), "each of them was denied before");
    }

    #[test]
    fn an_expression_too_tangled_to_be_decided_about_denies() {
        let tangled = r"regex ghcr\.io/evil/app:(.*a.{14}|.*)";
        assert!(denied(&[(tangled, Action::Deny)], "ghcr.io/evil/app"));
        assert!(!denied(&[(tangled, Action::Deny)], "ghcr.io/good/app"));
        assert!(!denied(
            &[("ghcr.io/evil/app:a*", Action::Freeze), (tangled, Action::Deny)],
            "ghcr.io/evil/app"
        ));
    }

    proptest! {
        #[test]
        fn no_tag_of_a_denied_repository_can_be_pulled(
            rules in prop::collection::vec((0..8_usize, any::<bool>()), 1..5),
            tag in "[ab_][ab.-]{0,4}",
        ) {
            let patterns = [
                "**", "*/r:a*", "x.io/r:*b", "regex .*:[^b].*", "regex .*:a+", "regex .*:[ab].*", "regex .*[_.-].*", "**a**",
            ];
            let rules: Vec<_> = rules
                .iter()
                .map(|(pattern, deny)| (patterns[*pattern], if *deny { Action::Deny } else { Action::Freeze }))
                .collect();
            if denied(&rules, "x.io/r") {
                prop_assert_eq!(decide(&rules, "x.io/r", &tag).action, Action::Deny);
            }
        }
    }

    #[test]
    fn a_rule_that_is_only_tried_out_denies_no_repository() {
        let dry = Terms { mode: Some(Mode::DryRun), ..Terms::default() };
        let deny = Rule { terms: dry, ..rule("ghcr.io/evil/**", Action::Deny) };
        let name = Name::parse_canonical("ghcr.io/evil/app").unwrap();
        let policy = Policy::new(vec![deny], Defaults::default());
        assert_eq!(policy.denies_repository(&name), None);
        let decision = policy.decide(&name, &Tag::parse("v1").unwrap());
        assert_eq!((decision.action, decision.is_dry_run()), (Action::Deny, true));
    }

    #[test]
    fn what_a_rule_says_goes_before_what_is_general() {
        let terms = Terms {
            on_move: Some(OnMove::ServeRecorded),
            on_gone: Some(OnGone::Serve),
            mode: Some(Mode::Enforce),
            min_age: Some(Duration::from_secs(9)),
            on_young: OnYoung::ServeOld,
        };
        let said = Rule { terms, ..rule("ghcr.io/org/app:v1", Action::Observe) };
        let defaults = Defaults { mode: Mode::DryRun, ..Defaults::default() };
        let policy = Policy::new(vec![said], defaults);
        let name = Name::parse_canonical("ghcr.io/org/app").unwrap();
        let decide = |tag: &str| policy.decide(&name, &Tag::parse(tag).unwrap());
        let (one, other) = (decide("v1"), decide("v2"));
        assert_eq!(
            (one.on_move, one.on_gone, one.mode),
            (OnMove::ServeRecorded, OnGone::Serve, Mode::Enforce)
        );
        assert_eq!((one.min_age, one.on_young), (Some(Duration::from_secs(9)), OnYoung::ServeOld));
        assert_eq!(
            (other.on_move, other.on_gone, other.mode),
            (OnMove::Refuse, OnGone::Refuse, Mode::DryRun)
        );
        assert_eq!(other.min_age, None);
    }

    #[test]
    fn look_alikes_of_protocol_tags_are_frozen() {
        let hex = "a".repeat(64);
        for tag in [
            format!("sha256-{}", "a".repeat(63)),
            format!("sha256-{}", "A".repeat(64)),
            format!("sha256-{hex}.exe"),
            format!("sha256-{hex}.sig.sig"),
            format!("sha384-{hex}"),
            format!("x-sha256-{hex}"),
        ] {
            assert_eq!(decide(&[], "ghcr.io/org/app", &tag).action, Action::Freeze, "{tag}");
        }
    }
}
