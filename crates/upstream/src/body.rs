//! Bodies of bounded size, read whole.

use bytes::{Bytes, BytesMut};

use crate::Error;

/// Reads a body of at most `limit` bytes, and no less than it announced.
pub(crate) async fn read_bounded(
    mut response: reqwest::Response,
    host: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    let announced = response.content_length();
    if announced.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit)) {
        return Err(Error::TooLarge { limit });
    }
    let mut body = BytesMut::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) if error.is_timeout() => return Err(Error::TimedOut { host: host.to_owned() }),
            Err(_broken) => {
                let received = u64::try_from(body.len()).unwrap_or(u64::MAX);
                return Err(Error::Truncated { received, expected: announced.unwrap_or(received + 1) });
            }
        };
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    let received = u64::try_from(body.len()).unwrap_or(u64::MAX);
    match announced {
        Some(expected) if expected != received => Err(Error::Truncated { received, expected }),
        _ => Ok(body.freeze()),
    }
}
