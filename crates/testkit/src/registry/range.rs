//! `Range` and `If-Range` on blobs and files (RFC 9110 §14). Knows nothing of quirks.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::draft::Draft;
use super::record::RecordedRequest;

/// Cuts a whole 200 down to what the request's `Range` asks for: 206, 416, or as it was.
pub(super) fn apply(draft: Draft, request: &RecordedRequest) -> Draft {
    let Some(range) = request.header("range").and_then(|range| range.strip_prefix("bytes=")) else {
        return draft;
    };
    let etag = draft.headers.get("etag").and_then(|etag| etag.to_str().ok());
    if request.header("if-range").is_some_and(|condition| Some(condition) != etag) {
        return draft;
    }
    let Some(specs) = range.split(',').map(|spec| Spec::parse(spec.trim())).collect::<Option<Vec<_>>>()
    else {
        return draft;
    };
    let total = draft.body.len();
    let spans: Vec<(usize, usize)> = specs.iter().filter_map(|spec| spec.within(total)).collect();
    match spans.as_slice() {
        [] => Draft::error(416, "UNSUPPORTED", "range not satisfiable")
            .with("Content-Range", &format!("bytes */{total}")),
        [(first, last)] => partial(draft, *first, *last),
        several => multipart(draft, several),
    }
}

fn partial(mut draft: Draft, first: usize, last: usize) -> Draft {
    draft.set("Content-Range", &format!("bytes {first}-{last}/{}", draft.body.len()));
    draft.status = 206;
    draft.body = draft.body.slice(first..=last);
    draft
}

fn multipart(mut draft: Draft, spans: &[(usize, usize)]) -> Draft {
    const BOUNDARY: &str = "testkit-boundary";
    let total = draft.body.len();
    let mut body = BytesMut::new();
    for (first, last) in spans {
        let head = format!("--{BOUNDARY}\r\nContent-Range: bytes {first}-{last}/{total}\r\n\r\n");
        body.put_slice(head.as_bytes());
        body.put_slice(&draft.body.slice(*first..=*last));
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    draft.set("Content-Type", &format!("multipart/byteranges; boundary={BOUNDARY}"));
    draft.status = 206;
    draft.body = Bytes::from(body);
    draft
}

/// `first-last`, `first-` or `-length`.
enum Spec {
    From(usize, Option<usize>),
    Last(usize),
}

impl Spec {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        if first.is_empty() {
            return Some(Self::Last(last.parse().ok()?));
        }
        let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        Some(Self::From(first.parse().ok()?, last))
    }

    /// First and last byte of it that exist.
    fn within(&self, total: usize) -> Option<(usize, usize)> {
        let end = total.checked_sub(1)?;
        match *self {
            Self::From(first, last) => {
                let last = last.unwrap_or(end).min(end);
                (first <= last).then_some((first, last))
            }
            Self::Last(length) => (length > 0).then(|| (total.saturating_sub(length), end)),
        }
    }
}
