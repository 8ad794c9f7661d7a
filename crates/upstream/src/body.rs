//! Bodies of bounded size, read whole.

use bytes::Bytes;

use crate::Error;

/// What is set aside before anything came, however much was announced.
const FIRST: usize = 64 * 1024;

/// Reads a body of at most `limit` bytes, and no less than it announced.
pub(crate) async fn read_bounded(
    response: reqwest::Response,
    host: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    read_within(response, host, limit, |_bytes| Ok(())).await
}

/// The same, where `room` is asked for each piece of memory before it is taken.
pub(crate) async fn read_within(
    mut response: reqwest::Response,
    host: &str,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), Error>,
) -> Result<Bytes, Error> {
    let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge { limit });
    }
    let first = announced.unwrap_or_default().min(FIRST);
    room(first)?;
    let mut body = Vec::with_capacity(first);
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Error::of_body(host, &error, body.len()))?
    {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(Error::TooLarge { limit });
        }
        if length > body.capacity() {
            let most = announced.unwrap_or(limit).max(length);
            let capacity = body.capacity().saturating_mul(2).clamp(length, most);
            room(capacity - body.capacity())?;
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}
