//! Memory for lists of which not all pages are there: what is held while a slow registry is asked for the next one.
//!
//! Short lists, which is nearly all of them, always have room. Long ones share what there is, and lists of registries that
//! nobody configured take none from those of others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Of all lists of each kind together, in KiB.
const ALL: usize = 64 * 1024;
/// Bytes that a list may hold without being counted.
const FREE: usize = 16 * 1024;

/// The memory of all lists.
#[derive(Debug)]
pub(crate) struct Rooms {
    for_configured: Arc<Semaphore>,
    for_others: Arc<Semaphore>,
}

/// What one list holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    bytes: usize,
    held: Option<OwnedSemaphorePermit>,
}

impl Default for Rooms {
    fn default() -> Self {
        let all = || Arc::new(Semaphore::new(ALL));
        Self { for_configured: all(), for_others: all() }
    }
}

impl Rooms {
    /// For a list that holds nothing yet.
    pub(crate) fn room(&self, is_configured: bool) -> Room {
        let all = if is_configured { &self.for_configured } else { &self.for_others };
        Room { all: Arc::clone(all), bytes: 0, held: None }
    }
}

impl Room {
    /// Takes so many bytes more.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`].
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        let counted = self.bytes.saturating_sub(FREE).div_ceil(1024);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(counted.saturating_sub(held)).map_err(|_too_many| Error::NoRoom)?;
        let more = Arc::clone(&self.all).try_acquire_many_owned(more).map_err(|_none_left| Error::NoRoom)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_share_what_there_is_and_short_ones_always_have_room() {
        let rooms = Rooms::default();
        let mut long: Vec<Room> = (0..16).map(|_list| rooms.room(false)).collect();
        for room in &mut long {
            room.take(FREE).unwrap();
            room.take(4 << 20).unwrap();
        }
        let mut next = rooms.room(false);
        next.take(FREE).unwrap();
        assert!(matches!(next.take(1), Err(Error::NoRoom)));
        rooms.room(true).take(4 << 20).unwrap();
        drop(long);
        next.take(4 << 20).unwrap();
    }
}
