//! As much of HTTP as a read-only page needs: one request for each connection, and its answer.
//!
//! Each connection is closed after its answer, so nothing waits behind an idle one.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// The most bytes of a request. Browsers send some hundreds.
const MOST_BYTES: usize = 16 << 10;
/// The most lines of a request.
const MOST_HEADERS: usize = 64;
/// How long a client may take to send a request or to read a part of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request: everything before its body, which is never read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The address: a path, perhaps with a query.
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

/// A header was sent more than once.
#[derive(Debug, PartialEq)]
pub(super) struct Ambiguous;

impl Request {
    /// Reads a request. `None` if the client went without one; an error of the kind `InvalidData` if what it sent is none.
    pub(super) fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (mut bytes, mut part) = (Vec::new(), [0; 2048]);
        loop {
            match stream.read(&mut part)? {
                0 => return Ok(None),
                count => bytes.extend_from_slice(&part[..count]),
            }
            if let Some(request) = Self::parse(&bytes)? {
                return Ok(Some(request));
            }
            if bytes.len() > MOST_BYTES {
                return Err(io::Error::new(ErrorKind::InvalidData, "the request is too long"));
            }
        }
    }

    /// Returns a request once all of it has come.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let status = parsed.parse(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
        let (httparse::Status::Complete(_), Some(method), Some(target)) = (status, parsed.method, parsed.path) else {
            return Ok(None);
        };
        let text = |header: &httparse::Header<'_>| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
        };
        let headers = parsed.headers.iter().map(text).collect();
        Ok(Some(Self { method: method.to_owned(), target: target.to_owned(), headers }))
    }

    /// Returns the value of a header, if it was sent. `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>, Ambiguous> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() { Err(Ambiguous) } else { Ok(first) }
    }
}

/// Sends an answer and closes the connection. `body` is `None` for an answer that has no body, whatever its length.
pub(super) fn send<'h>(
    stream: &mut TcpStream,
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    length: usize,
    body: Option<&[u8]>,
) -> io::Result<()> {
    let words = match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        421 => "Misdirected Request",
        _ => "Internal Server Error",
    };
    let mut head = format!("HTTP/1.1 {status} {words}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 304 {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if let Some(body) = body {
        stream.write_all(body)?;
    }
    stream.shutdown(Shutdown::Write)?;
    // What the client still sends is read, or the system would tell it of an error before it has read the answer.
    io::copy(&mut stream.take(MOST_BYTES as u64), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_it_is_whole() {
        let text = "GET /a?b=c HTTP/1.1\r\nHost: localhost:1\r\nX: 1\r\nx: 2\r\n\r\n";
        for length in 0..text.len() {
            assert!(Request::parse(&text.as_bytes()[..length]).is_ok_and(|parsed| parsed.is_none()), "{length} bytes");
        }
        let request = Request::parse(text.as_bytes()).expect("valid").expect("whole");
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b=c"));
        assert_eq!(request.header("host"), Ok(Some("localhost:1")));
        assert_eq!((request.header("y"), request.header("x")), (Ok(None), Err(Ambiguous)));
        for wrong in ["\0", "GET\r\n\r\n", "GET / HTTP/9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
            assert!(Request::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
