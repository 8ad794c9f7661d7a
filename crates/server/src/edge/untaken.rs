//! How many bytes of answers wait for each client to take them, so that no one fills the memory with what it asks for.
//!
//! A byte counts until it has left: also those that HTTP/2 was given and may not send. Small answers count like large ones,
//! since there may be many. Knows not what is in them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Response;
use http_body_util::{BodyExt as _, Either};

use super::body::{Body, full};
use super::buckets::Client;
use crate::error::Error;

/// Of one client: 32 of the largest manifests, or a blob that is passed on for each of the connections that it has by
/// default.
pub(crate) const LIMIT: usize = 128 * 1024 * 1024;
/// What counts of such a blob: it comes in chunks of up to some 400 KiB, most of them smaller.
const STREAM: usize = 128 * 1024;

/// Of all clients; there are no more entries than requests being answered.
pub(crate) struct Untaken {
    limit: usize,
    bytes: Arc<Mutex<HashMap<Client, usize>>>,
}

/// What counts of one answer, until it is dropped.
struct Share {
    of: Arc<Mutex<HashMap<Client, usize>>>,
    client: Client,
    bytes: usize,
}

/// Bytes of an answer, and what counts of them.
struct Counted {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl Untaken {
    /// So many bytes each.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: Arc::default() }
    }

    /// The answer, which counts from here on; one that is too much is dropped.
    pub(crate) fn count(&self, client: IpAddr, response: Response<Body>) -> Result<Response<Body>, Error> {
        let (parts, body) = response.into_parts();
        let body = match body {
            Either::Left(mut whole) => match whole.frame().now_or_never().flatten() {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    let share = self.share(client, bytes.len())?;
                    full(share.counted(bytes))
                }
                Some(Err(never)) => match never {},
                None => full(Bytes::new()),
            },
            Either::Right(stream) => {
                let share = self.share(client, STREAM)?;
                let counted = stream.map_frame(move |frame| frame.map_data(|bytes| share.counted(bytes)));
                Either::Right(counted.boxed_unsync())
            }
        };
        Ok(Response::from_parts(parts, body))
    }

    /// A client that has nothing here may have one answer of any size.
    fn share(&self, client: IpAddr, bytes: usize) -> Result<Arc<Share>, Error> {
        let client = Client::of(client);
        let mut all = lock(&self.bytes);
        let held = all.entry(client).or_default();
        let sum = held.saturating_add(bytes);
        if *held > 0 && sum > self.limit {
            return Err(Error::Untaken);
        }
        *held = sum;
        Ok(Arc::new(Share { of: Arc::clone(&self.bytes), client, bytes }))
    }
}

impl Share {
    fn counted(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _share: Arc::clone(self) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = lock(&self.of);
        if let Some(held) = all.get_mut(&self.client) {
            *held = held.saturating_sub(self.bytes);
            if *held == 0 {
                all.remove(&self.client);
            }
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn lock(all: &Mutex<HashMap<Client, usize>>) -> MutexGuard<'_, HashMap<Client, usize>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::edge::body::stream;

    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn answer(length: usize) -> Response<Body> {
        Response::new(full(vec![7; length]))
    }

    #[test]
    fn a_client_is_refused_what_is_too_much_until_it_took_the_rest() {
        let untaken = Untaken::new(100);
        let first = untaken.count(client(1), answer(60)).unwrap();
        let second = untaken.count(client(1), answer(40)).unwrap();
        assert!(matches!(untaken.count(client(1), answer(1)), Err(Error::Untaken)));
        assert!(untaken.count(client(2), answer(100)).is_ok(), "another client has nothing to do with it");
        drop(first);
        assert!(untaken.count(client(1), answer(60)).is_ok());
        drop(second);
        assert!(lock(&untaken.bytes).is_empty());
    }

    #[test]
    fn one_answer_may_have_any_size_and_an_empty_one_always_passes() {
        let untaken = Untaken::new(100);
        let large = untaken.count(client(1), answer(1_000)).unwrap();
        assert!(untaken.count(client(1), answer(0)).is_ok());
        drop(large);
        assert!(lock(&untaken.bytes).is_empty());
    }

    #[tokio::test]
    async fn bytes_count_until_the_last_of_them_has_left_however_they_came() {
        let untaken = Untaken::new(2 * STREAM);
        let chunks = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")].map(Ok);
        let blob = Response::new(stream(futures_util::stream::iter(chunks)));
        let mut blob = untaken.count(client(1), blob).unwrap().into_body();
        let whole = untaken.count(client(1), answer(STREAM)).unwrap();
        let kept = blob.frame().await.unwrap().unwrap().into_data().unwrap();
        let whole = whole.into_body().collect().await.unwrap().to_bytes().slice(..1);
        drop(blob);
        assert_eq!((&*kept, &*whole), (&b"ab"[..], &[7][..]));
        assert!(matches!(untaken.count(client(1), answer(1)), Err(Error::Untaken)));
        drop((kept, whole));
        assert!(lock(&untaken.bytes).is_empty());
    }
}
