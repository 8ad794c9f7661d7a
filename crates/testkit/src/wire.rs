//! A plain HTTP/1.1 client that shows what was on the wire: one request per connection, nothing followed, nothing
//! decoded but chunks. Knows no registry.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Every header line.
    pub headers: HeaderMap,
    /// The body, out of its chunks.
    pub body: Bytes,
    /// All that was announced was sent: `Content-Length` bytes, or the last chunk.
    pub complete: bool,
}

impl Reply {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of visible characters"))
    }

    /// All values of a header, one per line.
    #[must_use]
    pub fn header_lines(&self, name: &str) -> Vec<&str> {
        let text = HeaderValue::to_str;
        self.headers.get_all(name).iter().map(|value| text(value).expect("visible characters")).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Takes apart all bytes that came after a request; `head` says that it was a HEAD.
    ///
    /// # Errors
    /// `UnexpectedEof` when not even the headers are whole.
    pub fn parse(bytes: &[u8], head: bool) -> io::Result<Self> {
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ends within its headers");
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
        let (top, rest) = bytes.split_at(end);
        let rest = rest.get(4..).unwrap_or_default();
        let top = std::str::from_utf8(top).expect("headers of text");
        let mut lines = top.split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').expect("a header line");
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
                HeaderValue::from_str(value.trim()).expect("a header value"),
            );
        }
        let (body, complete) = match (headers.get("content-length"), headers.get("transfer-encoding")) {
            _ if head => (Bytes::copy_from_slice(rest), true),
            (_, Some(_)) => unchunk(rest),
            (Some(length), None) => {
                let length: usize =
                    length.to_str().ok().and_then(|text| text.parse().ok()).expect("a length");
                (Bytes::copy_from_slice(rest), rest.len() == length)
            }
            (None, None) => (Bytes::copy_from_slice(rest), true),
        };
        Ok(Self { status, headers, body, complete })
    }
}

/// A request to be sent as it stands, with `Host` and `Connection: close` and no other header of its own.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    address: SocketAddr,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    /// `url` is `http://<address>:<port>/…` and is not normalised.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("`{url}` is not an http URL"));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = authority.replace("localhost", "127.0.0.1");
        let address = address.parse().unwrap_or_else(|_| panic!("`{authority}` is no address with a port"));
        let target = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        let headers = vec![("Host".to_owned(), authority.to_owned())];
        Self { method: method.to_owned(), address, target, headers, body: Bytes::new() }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A HEAD.
    #[must_use]
    pub fn head(url: &str) -> Self {
        Self::new("HEAD", url)
    }

    /// One more header line; `Host` replaces the one that is there.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("host") {
            self.headers.retain(|(name, _)| name != "Host");
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body, with its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.push(("Content-Length".to_owned(), self.body.len().to_string()));
        self
    }

    /// The answer; panics when there is none.
    pub async fn send(self) -> Reply {
        let asked = format!("{} {}", self.method, self.target);
        self.try_send().await.unwrap_or_else(|error| panic!("no answer to `{asked}`: {error}"))
    }

    /// The answer.
    ///
    /// # Errors
    /// What the socket says, and `UnexpectedEof` for an answer that ends within its headers.
    pub async fn try_send(self) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(self.address).await?;
        self.over(&mut stream).await
    }

    /// The answer over a connection that is open already, such as a Unix socket.
    ///
    /// # Errors
    /// As [`Request::try_send`].
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(self, stream: &mut S) -> io::Result<Reply> {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{} {} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n", self.method, self.target);
        let bytes = exchange(stream, &[head.as_bytes(), &self.body].concat()).await?;
        Reply::parse(&bytes, self.method == "HEAD")
    }
}

/// GET without any header of our own; panics when there is no answer.
pub async fn get(url: &str) -> Reply {
    Request::get(url).send().await
}

/// HEAD without any header of our own; panics when there is no answer.
pub async fn head(url: &str) -> Reply {
    Request::head(url).send().await
}

/// Sends exactly these bytes and gives everything that comes until the other side closes.
///
/// # Errors
/// What the socket says.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    exchange(&mut TcpStream::connect(address).await?, bytes).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The content of chunks, and whether the last one is there.
fn unchunk(mut rest: &[u8]) -> (Bytes, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return (body.into(), false);
        };
        let (size, tail) = rest.split_at(end);
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("the size of a chunk");
        let Some(chunk) = tail.get(2..2 + size) else {
            body.extend(tail.get(2..).unwrap_or_default());
            return (body.into(), false);
        };
        if size == 0 {
            return (body.into(), true);
        }
        body.extend(chunk);
        rest = tail.get(2 + size + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Reply {
        Reply::parse(text.as_bytes(), false).unwrap()
    }

    #[test]
    fn an_answer_is_complete_when_all_that_was_announced_is_there() {
        let reply = parse("HTTP/1.1 404 Not Found\r\nA: 1\r\na:2\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!((reply.status, reply.text(), reply.complete), (404, "abc", true));
        assert_eq!((reply.header("A"), reply.header_lines("a")), (Some("1"), vec!["1", "2"]));
        assert!(!parse("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc").complete);
        assert!(parse("HTTP/1.1 200 OK\r\n\r\nabc").complete);
    }

    #[test]
    fn the_answer_to_head_announces_a_body_that_does_not_come() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        assert!(Reply::parse(bytes, true).unwrap().complete);
        assert!(!Reply::parse(bytes, false).unwrap().complete);
    }

    #[test]
    fn chunks_are_put_together() {
        let top = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (chunks, text, complete) in [
            ("3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n", "abc0123456789", true),
            ("3\r\nabc\r\na\r\n01234", "abc01234", false),
            ("3\r\nabc\r\n", "abc", false),
            ("", "", false),
        ] {
            let reply = parse(&format!("{top}{chunks}"));
            assert_eq!((reply.text(), reply.complete), (text, complete), "{chunks:?}");
        }
    }

    #[test]
    fn an_answer_that_ends_within_its_headers_is_none() {
        for bytes in [b"".as_slice(), b"HTTP/1.1 200 OK\r\nA: 1\r\n"] {
            let error = Reply::parse(bytes, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn a_request_is_sent_as_it_was_written() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let server = tokio::spawn(async move {
            let mut request = vec![0; 4096];
            let length = far.read(&mut request).await.unwrap();
            far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            request.truncate(length);
            String::from_utf8(request).unwrap()
        });
        let request = Request::new("PUT", "http://127.0.0.1:1/a/../b?%2f").header("host", "me").body("{}");
        assert_eq!(request.over(&mut near).await.unwrap().status, 204);
        let expected =
            "PUT /a/../b?%2f HTTP/1.1\r\nhost: me\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        assert_eq!(server.await.unwrap(), expected);
    }
}
