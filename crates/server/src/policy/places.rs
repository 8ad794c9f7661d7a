//! Where a rule is while a reference is read character by character.
//!
//! What a place is only the rule knows; here they are compared.

/// The places in a rule at which what is read next may be matched, in order.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Places {
    pub(super) at: Vec<usize>,
    /// What stands for the character that was read last, if any was.
    pub(super) behind: Option<u8>,
}

impl Places {
    /// Whether nothing that follows can match.
    pub(super) fn is_dead(&self) -> bool {
        self.at.is_empty()
    }

    /// Each of them by itself.
    pub(super) fn apart(&self) -> impl Iterator<Item = Self> {
        self.at.iter().map(|place| Self { at: vec![*place], behind: self.behind })
    }
}
