//! Asking the real registry, past the proxy, whether it ever served what a log recorded first.
//!
//! A registry that has the manifest under its tag bears the log out. One that has it under its digest
//! alone may have moved the tag since, or never have had it there: digests are easily pushed. One that
//! has not either never served it or has deleted it: look into it soon.

use futures_util::{StreamExt as _, stream};
use oci::{Digest, ManifestSelector, Reference, Selector, Sha256Digest, TagName};
use upstream::ErrorKind;

use super::event::{Event, EventKind};
use super::progress::Pending;
use super::{Monitor, Watch};
use crate::Error;

/// Registries asked in one step, and at the same time.
const IN_ONE_STEP: usize = 256;
const AT_ONCE: usize = 8;
/// Tries before a first sight is reported as unchecked: about two days.
const MAX_TRIES: u32 = 16;
/// The wait after the first try, doubled after each further one, and the longest, in seconds.
const FIRST_WAIT: u64 = 60;
const LONGEST_WAIT: u64 = 6 * 3_600;

/// Registries, and the tags about which they are asked.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Asks them.
    pub client: upstream::Client,
    /// For which tags.
    pub watch: Watch,
}

/// What a registry says.
enum Said {
    /// It has the manifest under the tag.
    HasIt,
    /// It has not, and this instead.
    HasNot(EventKind, Option<String>, String),
    /// Nothing.
    Nothing(String),
}

impl Monitor {
    /// Asks about first sights whose time has come; gives how many were confirmed.
    pub(super) async fn ask_registries(&mut self, now: u64) -> Result<u64, Error> {
        let Some(registry) = self.settings.registry.clone() else { return Ok(0) };
        let pending = self.saved.progress.pending.iter().cloned();
        let (mut due, mut later): (Vec<_>, Vec<_>) = pending.partition(|pending| pending.not_before <= now);
        later.extend(due.split_off(IN_ONE_STEP.min(due.len())));
        if due.is_empty() {
            return Ok(0);
        }
        let asked: Vec<(Pending, Said)> = stream::iter(due)
            .map(|pending| async {
                let said = ask(&registry.client, &pending.first).await;
                (pending, said)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let (mut confirmed, mut events) = (0, Vec::new());
        for (pending, said) in asked {
            let (kind, instead, why) = match said {
                Said::HasIt => {
                    confirmed += 1;
                    continue;
                }
                Said::HasNot(kind, instead, why) => (kind, instead, why),
                Said::Nothing(why) if pending.tries + 1 >= MAX_TRIES => (EventKind::Unchecked, None, why),
                Said::Nothing(why) => {
                    tracing::debug!(tag = ?pending.first.reference, why, "the registry is asked again later");
                    let wait = FIRST_WAIT.saturating_mul(1 << pending.tries.min(16)).min(LONGEST_WAIT);
                    later.push(Pending { tries: pending.tries + 1, not_before: now + wait, ..pending });
                    continue;
                }
            };
            events.push(Event::of_registry(&pending.first, &self.settings.key, kind, instead, why));
        }
        self.note(events, |progress| progress.pending = later)?;
        Ok(confirmed)
    }
}

/// The tag of a reference as events write it.
pub(super) fn tag_of(reference: &str) -> Option<TagName> {
    let Reference { name, selector } = Reference::parse(reference).ok()?;
    match selector {
        Selector::Tag(tag) => Some(TagName { name, tag }),
        Selector::Digest(_) | Selector::TagAndDigest(..) => None,
    }
}

async fn ask(client: &upstream::Client, first: &Event) -> Said {
    let tag = first.reference.as_deref().and_then(tag_of);
    let digest = first.digest.as_deref().and_then(|digest| Sha256Digest::parse(digest).ok());
    let Some((tag, digest)) = tag.zip(digest) else {
        return Said::Nothing("the event names no tag".to_owned());
    };
    let by_tag = client.manifest(&tag.name, &ManifestSelector::Tag(tag.tag)).await;
    let (instead, why) = match by_tag {
        Ok(manifest) if manifest.digest == digest => return Said::HasIt,
        Ok(manifest) => (Some(manifest.digest.to_string()), format!("the tag is {} there", manifest.digest)),
        Err(error) if error.kind() == ErrorKind::NotFound => (None, "there is no such tag".to_owned()),
        Err(error) => return Said::Nothing(error.to_string()),
    };
    match client.manifest(&tag.name, &ManifestSelector::Digest(Digest::Sha256(digest))).await {
        Ok(_) => Said::HasNot(EventKind::NotConfirmed, instead, why),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Said::HasNot(EventKind::NeverServed, instead, why)
        }
        Err(error) => Said::Nothing(error.to_string()),
    }
}
