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

/// What counts of a blob that is passed on: it comes in chunks of up to some 400 KiB, most of them smaller.
const STREAM: u64 = 128 * 1024;

/// Of all clients; there are no more entries than requests being answered.
pub(crate) struct Untaken {
    all: u64,
    per_client: u64,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    sum: u64,
    clients: HashMap<Client, u64>,
}

/// What counts of one answer, until it is dropped.
pub(crate) struct Share {
    of: Arc<Mutex<Table>>,
    client: Client,
    bytes: u64,
}

/// Bytes of an answer, and what counts of them.
struct Counted {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl Untaken {
    /// So many bytes of all clients and of each; 0: any number.
    pub(crate) fn new(all: u64, per_client: u64) -> Self {
        let limit = |limit| if limit == 0 { u64::MAX } else { limit };
        Self { all: limit(all), per_client: limit(per_client), table: Arc::default() }
    }

    /// What will count of a blob that is passed on, before anything of it is there.
    pub(crate) fn blob(&self, client: IpAddr) -> Result<Arc<Share>, Error> {
        self.share(client, STREAM)
    }

    /// The answer, which counts from here on, a blob by what was taken for it before; one that is too much is dropped.
    pub(crate) fn count(
        &self,
        client: IpAddr,
        response: Response<Body>,
        taken: Option<Arc<Share>>,
    ) -> Result<Response<Body>, Error> {
        let (parts, body) = response.into_parts();
        let body = match body {
            Either::Left(mut whole) => {
                drop(taken);
                match whole.frame().now_or_never().flatten() {
                    Some(Ok(frame)) => {
                        let bytes = frame.into_data().unwrap_or_default();
                        let share = self.share(client, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
                        full(share.counted(bytes))
                    }
                    Some(Err(never)) => match never {},
                    None => full(Bytes::new()),
                }
            }
            Either::Right(stream) => {
                let share = taken.map_or_else(|| self.blob(client), Ok)?;
                let counted = stream.map_frame(move |frame| frame.map_data(|bytes| share.counted(bytes)));
                Either::Right(counted.boxed_unsync())
            }
        };
        Ok(Response::from_parts(parts, body))
    }

    /// A client that has nothing here may have one answer of any size. Of all together as much has to stay free as one
    /// client has: those with the most are refused first, and something is left for those with little.
    fn share(&self, client: IpAddr, bytes: u64) -> Result<Arc<Share>, Error> {
        let client = Client::of(client);
        let mut table = lock(&self.table);
        let held = table.clients.get(&client).copied().unwrap_or_default();
        let (mine, sum) = (held.saturating_add(bytes), table.sum.saturating_add(bytes));
        if held > 0 && mine > self.per_client {
            return Err(Error::Untaken { limit: "limits.untaken_per_client" });
        }
        if table.sum > 0 && mine > self.all.saturating_sub(sum) {
            return Err(Error::Untaken { limit: "limits.untaken" });
        }
        table.sum = sum;
        table.clients.insert(client, mine);
        Ok(Arc::new(Share { of: Arc::clone(&self.table), client, bytes }))
    }
}

impl Share {
    fn counted(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _share: Arc::clone(self) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = lock(&self.of);
        table.sum = table.sum.saturating_sub(self.bytes);
        if let Some(held) = table.clients.get_mut(&self.client) {
            *held = held.saturating_sub(self.bytes);
            if *held == 0 {
                table.clients.remove(&self.client);
            }
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::edge::body::stream;

    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn nothing_is_left(untaken: &Untaken) -> bool {
        let table = lock(&untaken.table);
        table.sum == 0 && table.clients.is_empty()
    }

    fn answer(length: u64) -> Response<Body> {
        Response::new(full(vec![7; length.try_into().unwrap()]))
    }

    #[test]
    fn a_client_is_refused_what_is_too_much_until_it_took_the_rest() {
        let untaken = Untaken::new(0, 100);
        let first = untaken.count(client(1), answer(60), None).unwrap();
        let second = untaken.count(client(1), answer(40), None).unwrap();
        assert!(matches!(
            untaken.count(client(1), answer(1), None),
            Err(Error::Untaken { limit: "limits.untaken_per_client" })
        ));
        assert!(
            untaken.count(client(2), answer(100), None).is_ok(),
            "another client has nothing to do with it"
        );
        drop(first);
        assert!(untaken.count(client(1), answer(60), None).is_ok());
        drop(second);
        assert!(nothing_is_left(&untaken));
    }

    #[test]
    fn one_answer_may_have_any_size_and_an_empty_one_always_passes() {
        let untaken = Untaken::new(0, 100);
        let large = untaken.count(client(1), answer(1_000), None).unwrap();
        assert!(untaken.count(client(1), answer(0), None).is_ok());
        drop(large);
        assert!(nothing_is_left(&untaken));
    }

    #[test]
    fn the_more_all_have_the_less_each_may_and_something_is_left_for_who_has_nothing() {
        let untaken = Untaken::new(1_000, 400);
        let mut held = Vec::new();
        for number in [1, 2, 3] {
            while let Ok(answer) = untaken.count(client(number), answer(10), None) {
                held.push((number, answer));
            }
        }
        let of = |number| held.iter().filter(|(of, _)| *of == number).count();
        assert_eq!([of(1), of(2), of(3)], [40, 30, 15]);
        let refused = untaken.count(client(1), answer(10), None);
        assert!(matches!(refused, Err(Error::Untaken { limit: "limits.untaken_per_client" })));
        let refused = untaken.count(client(3), answer(10), None);
        assert!(matches!(refused, Err(Error::Untaken { limit: "limits.untaken" })));
        assert!(untaken.count(client(4), answer(10), None).is_ok());
        drop(held);
        assert!(nothing_is_left(&untaken));
    }

    #[test]
    fn an_answer_beyond_all_limits_is_given_where_nothing_else_is_held() {
        let untaken = Untaken::new(100, 50);
        let large = untaken.count(client(1), answer(1_000), None).unwrap();
        assert!(untaken.count(client(2), answer(1), None).is_err());
        drop(large);
        assert!(nothing_is_left(&untaken));
    }

    #[tokio::test]
    async fn bytes_count_until_the_last_of_them_has_left_however_they_came() {
        let untaken = Untaken::new(0, 2 * STREAM);
        let chunks = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")].map(Ok);
        let blob = Response::new(stream(futures_util::stream::iter(chunks)));
        let mut blob = untaken.count(client(1), blob, None).unwrap().into_body();
        let whole = untaken.count(client(1), answer(STREAM), None).unwrap();
        let kept = blob.frame().await.unwrap().unwrap().into_data().unwrap();
        let whole = whole.into_body().collect().await.unwrap().to_bytes().slice(..1);
        drop(blob);
        assert_eq!((&*kept, &*whole), (&b"ab"[..], &[7][..]));
        assert!(matches!(
            untaken.count(client(1), answer(1), None),
            Err(Error::Untaken { limit: "limits.untaken_per_client" })
        ));
        drop((kept, whole));
        assert!(nothing_is_left(&untaken));
    }
}
