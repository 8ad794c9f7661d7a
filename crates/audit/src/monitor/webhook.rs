//! Sending events to an HTTP server, each until it is taken, in order.
//!
//! `POST`, `application/json`, one event; `Tlogistry-Delivery` is the event's name, which is the same
//! whenever it is sent again, and `Tlogistry-Signature-256` is `sha256=` and HMAC-SHA256 of the body in
//! hexadecimal, by the receiver's secret. Any 2xx means that it was taken.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use tlog::Hash;

use super::PAGE;
use super::event::Event;
use super::journal::{Journal, Receipt, line};
use crate::Error;
use crate::post::Post;
use crate::source::Http;

/// The event's name.
const DELIVERY: HeaderName = HeaderName::from_static("tlogistry-delivery");
/// The signature of the body.
const SIGNATURE: HeaderName = HeaderName::from_static("tlogistry-signature-256");
/// Bytes that SHA-256 works on at once.
const BLOCK: usize = 64;

/// A receiver.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// Shared with the receiver.
    pub secret: SecretString,
}

/// A receiver that did not take an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undelivered {
    /// Who.
    pub receiver: String,
    /// The event.
    pub event: String,
    /// Why.
    pub why: String,
}

/// A receiver with its place in the journal.
#[derive(Debug)]
pub(super) struct Receiver {
    post: Post,
    secret: SecretString,
    receipt: Receipt,
}

impl Receiver {
    pub(super) fn new(webhook: &Webhook, receipt: Receipt, http: &Http) -> Result<Self, Error> {
        let Webhook { url, secret } = webhook;
        Ok(Self { post: Post::to(url, http)?, secret: secret.clone(), receipt })
    }

    /// Sends everything that was not taken yet, until one is not taken.
    pub(super) async fn send_all(&mut self, journal: &Journal) -> Result<Option<Undelivered>, Error> {
        loop {
            let page = journal.page(self.receipt.position(), PAGE)?;
            if page.is_empty() {
                return Ok(None);
            }
            for (event, position) in page {
                if let Err(error) = self.send(&event).await {
                    let (receiver, why) = (self.post.place(), error.to_string());
                    return Ok(Some(Undelivered { receiver, event: event.id, why }));
                }
                self.receipt.sign(position)?;
            }
        }
    }

    async fn send(&self, event: &Event) -> Result<(), Error> {
        let body = line(event);
        let signature = hmac(self.secret.expose_secret().as_bytes(), body.as_bytes());
        let signature = format!("sha256={}", signature.to_hex());
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        // Both are plain letters, digits and punctuation.
        headers.extend(HeaderValue::from_str(&event.id).ok().map(|id| (DELIVERY, id)));
        headers.extend(HeaderValue::from_str(&signature).ok().map(|signature| (SIGNATURE, signature)));
        self.post.send(&headers, &body).await
    }
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Hash {
    let hashed = Hash::of(key);
    let key = if key.len() > BLOCK { hashed.as_bytes() } else { key };
    let pad = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Hash::of_parts(&[&pad(0x36), message]);
    Hash::of_parts(&[&pad(0x5c), inner.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        for (key, message, expected) in [
            (vec![0x0b; 20], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hmac(&key, message.as_bytes()).to_hex(), expected);
        }
    }
}
