//! A name for each request, in log lines and in the answer, so that a person can find the one in the other.
//!
//! Made here, never taken from a client. Knows nothing of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Gives names that are unique in a process and very likely so among processes.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// A process is told from others by a random number; without randomness by zero.
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 4];
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::warn!(%error, "no randomness for the names of requests");
        }
        Self { process: u32::from_be_bytes(bytes), next: AtomicU64::new(1) }
    }

    /// The next name: `<process>-<number>`, both hexadecimal.
    pub(crate) fn next(&self) -> String {
        format!("{:08x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// As the value of `X-Request-Id`.
pub(crate) fn header(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or_else(|_never| HeaderValue::from_static("unnamed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_process_differ() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first, second);
        assert_eq!(header(&first).to_str().unwrap(), first);
        assert!(first.ends_with("-1") && second.ends_with("-2"));
    }
}
