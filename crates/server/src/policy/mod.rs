//! Which rule decides about a tag: freeze, observe, pass or deny.
//!
//! Pure: a canonical name and tag go in, a [`Decision`] comes out. Knows nothing of records,
//! registries or HTTP; what a frozen record means whatever the policy says is `resolve`'s matter.

mod pattern;

use std::fmt;

use oci::{Name, Tag};
use serde::Deserialize;

pub use self::pattern::{Pattern, PatternError};

/// What happens to a tag that a rule matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The first digest is recorded and stays what the tag means.
    Freeze,
    /// Every digest is recorded before it is served; a change is served with a warning.
    Observe,
    /// Served as upstream has it, neither recorded nor checked.
    Pass,
    /// Refused.
    Deny,
}

/// What a client gets when upstream moved a frozen tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMove {
    /// A 403 that carries both digests.
    Refuse,
    /// The recorded manifest, with a warning.
    ServeRecorded,
}

/// One `[[policy]]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Matched against `<host>/<repository>:<tag>`.
    pub pattern: Pattern,
    /// What happens on a match.
    pub action: Action,
    /// Overrides the general `on_move`.
    pub on_move: Option<OnMove>,
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
    /// Which rule decided.
    pub reason: Reason,
}

/// All rules, in order; the first match wins.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    on_move: OnMove,
}

impl Policy {
    /// A policy of `rules` in order, with `on_move` for rules that do not say.
    pub fn new(rules: Vec<Rule>, on_move: OnMove) -> Self {
        Self { rules, on_move }
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
        let matched = self.rules.iter().enumerate().find(|(_, rule)| rule.pattern.matches(&subject));
        if is_protocol_tag(tag.as_str()) && matched.is_none_or(|(_, rule)| rule.action != Action::Deny) {
            return Decision { action: Action::Pass, on_move: self.on_move, reason: Reason::ProtocolTag };
        }
        match matched {
            Some((place, rule)) => Decision {
                action: rule.action,
                on_move: rule.on_move.unwrap_or(self.on_move),
                reason: Reason::Rule { number: place + 1, pattern: rule.pattern.to_string() },
            },
            None => Decision { action: Action::Freeze, on_move: self.on_move, reason: Reason::Default },
        }
    }

    /// Decides about what has no tag: digests, blobs and lists of a repository. They are denied where every tag
    /// of it is; a repository with one tag that may be pulled has to give the digests behind it.
    pub fn denies_repository(&self, name: &Name) -> Option<Reason> {
        if self.rules.is_empty() {
            return None;
        }
        let of_tags = format!("{name}:");
        // Stands for any tag: no literal of a pattern can match it.
        let any_tag = format!("{of_tags}\u{1}");
        for (place, rule) in self.rules.iter().enumerate() {
            if rule.action == Action::Deny {
                if rule.pattern.matches(&any_tag) {
                    return Some(Reason::Rule { number: place + 1, pattern: rule.pattern.to_string() });
                }
            } else if rule.pattern.matches_some_below(&of_tags) {
                return None;
            }
        }
        None
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Freeze => "freeze",
            Self::Observe => "observe",
            Self::Pass => "pass",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for OnMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::ServeRecorded => "serve-recorded",
        })
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
    use super::*;

    fn decide(rules: &[(&str, Action)], name: &str, tag: &str) -> Decision {
        let rules = rules
            .iter()
            .map(|(pattern, action)| Rule {
                pattern: pattern.parse().unwrap(),
                action: *action,
                on_move: None,
            })
            .collect();
        Policy::new(rules, OnMove::Refuse)
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
        let denied = |rules: &[(&str, Action)], name: &str| {
            let rules = rules.iter().map(|(pattern, action)| Rule {
                pattern: pattern.parse().unwrap(),
                action: *action,
                on_move: None,
            });
            let name = Name::parse_canonical(name).unwrap();
            Policy::new(rules.collect(), OnMove::Refuse).denies_repository(&name).is_some()
        };
        assert!(denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/evil/app"));
        assert!(denied(&[("ghcr.io/evil/*:*", Action::Deny)], "ghcr.io/evil/app"));
        assert!(!denied(&[("ghcr.io/evil/*:v*", Action::Deny)], "ghcr.io/evil/app"));
        assert!(!denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/good/app"));
        let some_allowed = [("ghcr.io/evil/app:v1", Action::Freeze), ("**", Action::Deny)];
        assert!(!denied(&some_allowed, "ghcr.io/evil/app"));
        assert!(denied(&some_allowed, "ghcr.io/evil/app2"));
        assert!(!denied(&[], "ghcr.io/evil/app"));
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
