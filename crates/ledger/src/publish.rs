//! What is published when: at once what is newest, or what the policy is content with, and never anything older than
//! before. It must not know how batches or cosignatures are stored.

use std::sync::{Arc, PoisonError};

use crate::cosignatures;
use crate::error::Error;
use crate::published::{Published, Signed};
use crate::shared::Shared;
use crate::store;
use crate::view::View;

impl Shared {
    /// Takes in the state of a batch that is durable and guarded.
    pub(crate) fn show(&self, signed: Arc<Signed>) {
        self.newest.store(Arc::clone(&signed));
        if self.immediate {
            self.publish(Arc::new(Published::new(Arc::clone(&signed), &[], &self.randomness)));
        }
        self.signed.send_replace(signed);
    }

    /// What follows from new cosignatures of the checkpoint of `size`, which are durable. Costs a replay of the leaves
    /// between the state that is at hand and this checkpoint.
    pub(crate) fn reconsider(&self, size: u64) -> Result<(), Error> {
        let _one_at_a_time = self.considering.lock().unwrap_or_else(PoisonError::into_inner);
        self.readers.with(|connection| {
            let Some(row) = store::checkpoint(connection, size)? else { return Ok(()) };
            if !self.keys.have_signed_row(&row) {
                return Err(store::corrupt(format!("the cosigned checkpoint of size {size}")));
            }
            let origin = self.keys.own().name();
            let cosignatures = cosignatures::of_checkpoint(connection, origin, &row, &self.cosigners)?;
            let lines = cosignatures::lines(&cosignatures);
            let at_hand = || {
                let published = self.published.load_full().map(|published| Arc::clone(&published.signed));
                std::iter::once(self.newest.load_full()).chain(published).collect::<Vec<_>>()
            };
            if let Some(view) = &self.cosigned {
                view.reconsider(&row, &cosignatures, &at_hand(), connection, &self.randomness)?;
                if !self.immediate
                    && let Some(current) = view.current()
                {
                    self.publish(current);
                }
            }
            let published = self.published.load_full().filter(|published| published.size >= size);
            if let Some(view) = self.audited.as_ref().filter(|_| published.is_some()) {
                view.reconsider(&row, &cosignatures, &at_hand(), connection, &self.randomness)?;
            }
            if let Some(published) = published.filter(|published| self.immediate && published.size == size) {
                let signed = Arc::clone(&published.signed);
                self.publish(Arc::new(Published::new(signed, &lines, &self.randomness)));
            }
            Ok(())
        })
    }

    /// Sizes below which cosignatures are of no use any more, but for those of the checkpoints that are shown.
    pub(crate) fn cosigned_from(&self) -> (u64, [u64; 2]) {
        let sizes = [&self.cosigned, &self.audited].map(|view| view.as_ref().map(View::size));
        let from = sizes.iter().flatten().min().copied().unwrap_or(0);
        (from, sizes.map(|size| size.unwrap_or(0)))
    }

    fn publish(&self, published: Arc<Published>) {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.published.load().as_ref().is_none_or(|before| before.size <= published.size) {
            let size = published.size;
            self.published.store(Some(published));
            self.published_size.send_replace(size);
        }
    }
}
