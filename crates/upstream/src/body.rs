//! Bodies of bounded size, read whole.

use bytes::{Bytes, BytesMut};

use crate::Error;

/// What is set aside before anything came, however much was announced.
const FIRST: usize = 64 * 1024;

/// Reads a body of at most `limit` bytes, and no less than it announced.
pub(crate) async fn read_bounded(
    mut response: reqwest::Response,
    host: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or_default().min(FIRST));
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Error::of_body(host, &error, body.len()))?
    {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
