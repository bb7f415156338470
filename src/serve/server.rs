//! The server: it listens on this machine only, and answers only who means it.

use std::{
    io::{self, Cursor},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tiny_http::{Header, Method, Request, Response, StatusCode};

use super::{answer::Answer, routes::Site};

/// The port if none is asked for, so that an address that was kept stays good.
const USUAL_PORT: u16 = 7423;
/// Threads that answer. A report takes seconds, and meanwhile the page asks on.
const WORKERS: usize = 6;
/// How often a worker looks whether to stop.
const TICK: Duration = Duration::from_millis(200);

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or not allowed.
    #[error("failed to listen on 127.0.0.1:{port}: {source}; `--port` takes another one, 0 any that is free")]
    Listen {
        /// The port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The system takes no more connections.
    #[error("failed to take connections: {0}")]
    Accept(io::Error),
}

/// A server that listens, and has not answered yet.
pub struct Server {
    http: tiny_http::Server,
    port: u16,
}

impl Server {
    /// Listens on a port of 127.0.0.1. Without one, on the usual port, or on any that is free if another program has that.
    ///
    /// # Errors
    /// If the port is taken or not allowed.
    pub fn listen(port: Option<u16>) -> Result<Self, ServeError> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let wanted = port.unwrap_or(USUAL_PORT);
        let bound = match bind(wanted) {
            Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => bind(0),
            bound => bound,
        };
        let listen = |source| ServeError::Listen { port: wanted, source };
        let listener = bound.map_err(listen)?;
        let port = listener.local_addr().as_ref().map(SocketAddr::port).unwrap_or(wanted);
        let http = tiny_http::Server::from_listener(listener, None);
        Ok(Self { http: http.map_err(|error| listen(io::Error::other(error)))?, port })
    }

    /// Returns the address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    /// If the system takes no more connections.
    pub fn serve(&self, site: &Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let is_over = AtomicBool::new(false);
        let work = || {
            while !stop.load(Ordering::Relaxed) && !is_over.load(Ordering::Relaxed) {
                match self.http.recv_timeout(TICK) {
                    Ok(Some(request)) => self.answer(request, site),
                    Ok(None) => {}
                    Err(error) => {
                        // One worker hears of it; the others are to end too.
                        is_over.store(true, Ordering::Relaxed);
                        return Err(ServeError::Accept(error));
                    }
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    fn answer(&self, request: Request, site: &Site) {
        let answer = self.refusal(&request).unwrap_or_else(|| site.answer(request.url()));
        let tag = format!("\"{}\"", &blake3::hash(&answer.body).to_hex()[..32]);
        let is_known = answer.status == 200 && header(&request, "If-None-Match") == Ok(Some(&tag));
        let (status, body) = if is_known { (304, Vec::new()) } else { (answer.status, answer.body.to_vec()) };
        let length = body.len();
        let mut headers: Vec<Header> = Vec::new();
        let pairs = answer.headers().into_iter().chain([("ETag", tag.as_str())]);
        headers.extend(pairs.filter_map(|(name, value)| Header::from_bytes(name, value).ok()));
        if status == 405 {
            headers.extend(Header::from_bytes("Allow", "GET, HEAD").ok());
        }
        let response = Response::new(StatusCode(status), headers, Cursor::new(body), Some(length), None);
        // A browser that has gone needs no answer.
        let _ = request.respond(response.with_chunked_threshold(usize::MAX));
    }

    /// Refuses what a page of another site could ask: a name that its owner let lead to this machine, a method that changes
    /// something, a part of this page within another one.
    fn refusal(&self, request: &Request) -> Option<Answer> {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Some(Answer::refused(405, "this page is read-only: it answers GET and HEAD"));
        }
        let is_ours = |host: &str| {
            let bare = self.port == 80 && ["127.0.0.1", "localhost"].contains(&host);
            bare || ["127.0.0.1", "localhost"]
                .iter()
                .any(|name| host.eq_ignore_ascii_case(&format!("{name}:{}", self.port)))
        };
        if !header(request, "Host").is_ok_and(|host| host.is_some_and(is_ours)) {
            let why = format!("this page is at {} and answers to no other name", self.address());
            return Some(Answer::refused(421, &why));
        }
        let (site, mode) = (header(request, "Sec-Fetch-Site"), header(request, "Sec-Fetch-Mode"));
        // A link from elsewhere leads here, but nothing elsewhere shows or loads a part of it.
        let is_from_elsewhere = matches!(site, Err(_) | Ok(Some("cross-site" | "same-site")));
        let is_link = mode == Ok(Some("navigate")) && header(request, "Sec-Fetch-Dest") == Ok(Some("document"));
        (is_from_elsewhere && !is_link).then(|| Answer::refused(403, "pages of other sites get nothing from here"))
    }
}

/// A header was sent more than once.
#[derive(Debug, PartialEq)]
struct Ambiguous;

/// Returns the value of a header, if it was sent.
fn header<'r>(request: &'r Request, name: &'static str) -> Result<Option<&'r str>, Ambiguous> {
    let mut found = request.headers().iter().filter(|header| header.field.equiv(name));
    let first = found.next().map(|header| header.value.as_str());
    if found.next().is_some() { Err(Ambiguous) } else { Ok(first) }
}
