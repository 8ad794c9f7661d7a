//! Watching repositories by proof: the log proves all tags of one, and what is new among them is
//! reported. No leaf of another repository is read.
//!
//! The proof is at `tags/<host>/<repository>` below the log's prefix (`taglog::verify_prefix`).

use oci::Name;

use super::event::Event;
use super::{Monitor, Start};
use crate::Error;

impl Monitor {
    pub(super) async fn read_repository(&mut self, name: &Name, now: u64) -> Result<(), Error> {
        let proved = self.repository(name, now).await?;
        let size = proved.checkpoint.checkpoint().size;
        let from = match (self.saved.progress.repositories.get(name.as_str()), self.settings.start) {
            (Some(from), _) => *from,
            (None, Start::Beginning) => 0,
            (None, Start::Now) => size,
        };
        let mut current: Vec<_> = proved.current.iter().filter(|(index, _)| *index >= from).collect();
        current.sort_by_key(|(index, _)| *index);
        let key = &self.settings.key;
        let events = current.into_iter().filter_map(|(index, leaf)| Event::of_leaf(key, *index, leaf));
        let events = events.collect();
        self.note(events, |progress| {
            progress.repositories.insert(name.to_string(), size);
        })
    }
}
