//! Does to an answer what the switches say: headers, bytes, and the way they are sent.

use bytes::{Bytes, BytesMut};

use super::draft::Draft;
use super::gzip::gzip;
use super::quirk::Quirk;
use super::record::RecordedRequest;
use crate::digest::sha512_digest;

/// Before a range is cut out: what the registry believes the content to be.
pub(super) fn content(draft: &mut Draft, quirks: &[Quirk], request: &RecordedRequest) {
    for quirk in quirks {
        match quirk {
            Quirk::CorruptBody => draft.body = corrupted(&draft.body),
            Quirk::ReplaceBody(bytes) => draft.body = bytes.clone(),
            Quirk::PaddedTo(size) => {
                let mut padded = draft.body.to_vec();
                padded.resize(padded.len().max(*size), b' ');
                draft.body = padded.into();
            }
            Quirk::Sha512ContentDigest => {
                let digest = sha512_digest(&draft.body);
                draft.set("Docker-Content-Digest", &digest);
            }
            Quirk::GzipUnasked => zip(draft),
            Quirk::Gzip if accepts_gzip(request) => zip(draft),
            _ => {}
        }
    }
}

/// After that: headers of every answer, and how the body is sent.
pub(super) fn wire(draft: &mut Draft, quirks: &[Quirk], request: &RecordedRequest) {
    let success = (200..300).contains(&draft.status);
    for quirk in quirks {
        match quirk {
            Quirk::Date(date) => draft.set("Date", date),
            Quirk::Header(name, value) => draft.set(name, value),
            Quirk::HoldBody(gate) => draft.hold = Some(gate.clone()),
            Quirk::HeadWithoutLength if request.method == "HEAD" => draft.length = false,
            Quirk::NoContentDigest if success => remove(draft, "docker-content-digest"),
            Quirk::ContentDigest(digest) if success => draft.set("Docker-Content-Digest", digest),
            Quirk::NoContentType if success => remove(draft, "content-type"),
            Quirk::ContentType(media_type) if success => draft.set("Content-Type", media_type),
            Quirk::Truncated(sent) if success => draft.cut = Some(*sent),
            Quirk::Chunked if success => draft.length = false,
            _ => {}
        }
    }
}

fn remove(draft: &mut Draft, name: &str) {
    draft.headers.remove(name);
}

fn corrupted(bytes: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(bytes.as_ref());
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.freeze()
}

fn zip(draft: &mut Draft) {
    draft.body = gzip(&draft.body).into();
    draft.set("Content-Encoding", "gzip");
}

fn accepts_gzip(request: &RecordedRequest) -> bool {
    request.header_lines("accept-encoding").iter().any(|line| line.contains("gzip"))
}
