//! The body of an answer: bytes at hand, or a stream from upstream.
//!
//! Knows nothing of what the bytes mean.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Full, StreamBody, combinators::UnsyncBoxBody};

/// Why a streamed body ended early; the connection is closed, so that no client takes it for whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// Upstream broke off.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The whole is not what its digest says; its last piece was held back.
    #[error("the bytes do not match their digest")]
    Mismatch,
}

/// What every handler answers with.
pub(crate) type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, StreamError>>;

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A body that arrives piece by piece, as fast as the client takes it.
pub(crate) fn stream(chunks: impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static) -> Body {
    Either::Right(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync())
}
