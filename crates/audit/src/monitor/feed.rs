//! The newest events as an Atom feed (RFC 4287), a file for any web server.

use std::fmt::Write as _;

use tlog::{Hash, VerifierKey};

use super::event::Event;
use crate::time::rfc3339;

/// Writes a feed of `events`, newest first.
pub(super) fn atom<'a>(log: &VerifierKey, events: impl Iterator<Item = &'a Event>) -> String {
    let name = escaped(log.name());
    let mut entries = String::new();
    let mut updated = 0;
    for event in events {
        updated = updated.max(event.time);
        entry(&mut entries, event);
    }
    let id = Hash::of(log.to_string()).to_hex();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         \x20 <id>urn:tlogistry:{id}</id>\n\
         \x20 <title>{name}</title>\n\
         \x20 <author><name>{name}</name></author>\n\
         \x20 <updated>{}</updated>\n{entries}</feed>\n",
        rfc3339(updated)
    )
}

fn entry(entries: &mut String, event: &Event) {
    let subject = event.reference.as_deref().unwrap_or(&event.log);
    let title = escaped(&format!("{}: {subject}", event.kind.as_str()));
    // Writing to a String does not fail.
    let _infallible = write!(
        entries,
        "  <entry>\n    <id>urn:tlogistry:{}</id>\n    <title>{title}</title>\n    <category term=\"{}\"/>\n    \
         <updated>{}</updated>\n    <content type=\"text\">{}</content>\n  </entry>\n",
        event.id,
        event.kind.as_str(),
        rfc3339(event.time),
        escaped(&event.text)
    );
}

/// Text within an element; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !character.is_control()) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use tlog::{KeyAlgorithm, SigningKey};

    use super::*;
    use crate::monitor::EventKind;

    #[test]
    fn what_an_operator_writes_does_not_become_markup() {
        let key = SigningKey::from_seed("a.example/<log>", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        let event = Event {
            number: 1,
            id: "x-2-closed".to_owned(),
            kind: EventKind::Closed,
            log: "a.example/<log>".to_owned(),
            index: 2,
            reference: None,
            digest: None,
            other: None,
            time: 1_700_000_000,
            reason: None,
            text: "it \"ended\" </content><script>&".to_owned(),
        };
        let feed = atom(&key.verifier(), [&event].into_iter());
        assert!(
            feed.contains("it &quot;ended&quot; &lt;/content&gt;&lt;script&gt;&amp;</content>"),
            "{feed}"
        );
        assert!(
            feed.contains("<title>a.example/&lt;log&gt;</title>") && feed.contains("2023-11-14T22:13:20Z")
        );
        assert!(atom(&key.verifier(), [].into_iter()).contains("<updated>1970-01-01T00:00:00Z</updated>"));
    }
}
