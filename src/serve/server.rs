//! The server: it listens on this machine only, and answers only who means it.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use super::{
    answer::Answer,
    http::{self, Request},
    site::Site,
};

/// The port if none is asked for, so that an address that was kept stays good.
const USUAL_PORT: u16 = 7423;
/// The most connections at once; a browser opens six. Others are closed, and the browser tries again.
const MOST_CONNECTIONS: usize = 64;
/// How often to look whether to stop.
const TICK: Duration = Duration::from_millis(100);

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
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
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
            Err(error) if port.is_none() && error.kind() == ErrorKind::AddrInUse => bind(0),
            bound => bound,
        };
        let listener = bound.map_err(|source| ServeError::Listen { port: wanted, source })?;
        let port = listener.local_addr().as_ref().map(SocketAddr::port).unwrap_or(wanted);
        Ok(Self { listener, port })
    }

    /// Returns the address of the page.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.port)
    }

    /// Answers until `stop` is set. Answers that are under way then are left to the end of the process: nothing is lost
    /// with them.
    ///
    /// # Errors
    /// If the system takes no more connections.
    pub fn serve(self, site: Site, stop: &AtomicBool) -> Result<(), ServeError> {
        let (failed, failure) = mpsc::channel();
        thread::spawn(move || self.accept(&Arc::new(site), &failed));
        while !stop.load(Ordering::Relaxed) {
            match failure.recv_timeout(TICK) {
                Ok(error) => return Err(ServeError::Accept(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ServeError::Accept(io::Error::other("the thread that takes them ended")));
                }
            }
        }
        Ok(())
    }

    fn accept(&self, site: &Arc<Site>, failed: &Sender<io::Error>) {
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // The client went before it was its turn.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                Err(error) => {
                    let _ = failed.send(error);
                    return;
                }
            };
            if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (site, port, open) = (Arc::clone(site), self.port, Counted(Arc::clone(&open)));
            let answering = thread::Builder::new().spawn(move || {
                let _open = open;
                // A client that has gone, or sends nothing, needs no answer.
                let _ = answer(&mut stream, &site, port);
            });
            if let Err(error) = answering {
                let _ = failed.send(error);
                return;
            }
        }
    }
}

/// A connection that is open. It counts until it is dropped, also by a panic.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// Reads the request of a connection and answers it.
fn answer(stream: &mut TcpStream, site: &Site, port: u16) -> io::Result<()> {
    let (answer, request) = match Request::read(stream) {
        Ok(Some(request)) => (refusal(&request, port).unwrap_or_else(|| site.answer(&request.target)), Some(request)),
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::InvalidData => (Answer::refused(400, &error.to_string()), None),
        Err(error) => return Err(error),
    };
    let tag = format!("\"{}\"", &blake3::hash(&answer.body).to_hex()[..32]);
    let asks = |name, value: &str| request.as_ref().is_some_and(|request| request.header(name) == Ok(Some(value)));
    let is_known = answer.status == 200 && asks("if-none-match", &tag);
    let is_head = request.as_ref().is_some_and(|request| request.method == "HEAD");
    let allowed = (answer.status == 405).then_some(("Allow", "GET, HEAD"));
    let headers = answer.headers().into_iter().chain([("ETag", tag.as_str())]).chain(allowed);
    let status = if is_known { 304 } else { answer.status };
    let body = (!is_known && !is_head).then_some(&*answer.body);
    http::send(stream, status, headers, answer.body.len(), body)
}

/// Refuses what a page of another site could ask: a name that its owner let lead to this machine, a method that changes
/// something, a part of this page within another one.
fn refusal(request: &Request, port: u16) -> Option<Answer> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Some(Answer::refused(405, "this page is read-only: it answers GET and HEAD"));
    }
    let is_ours = |host: &str| {
        ["127.0.0.1", "localhost"].iter().any(|name| {
            let is_usual = port == 80 && host.eq_ignore_ascii_case(name);
            is_usual || host.eq_ignore_ascii_case(&format!("{name}:{port}"))
        })
    };
    if !request.header("host").is_ok_and(|host| host.is_some_and(is_ours)) {
        let why = format!("this page is at {} and answers to no other name", address(port));
        return Some(Answer::refused(421, &why));
    }
    let (site, mode) = (request.header("sec-fetch-site"), request.header("sec-fetch-mode"));
    // A link from elsewhere leads here, but nothing elsewhere shows or loads a part of it.
    let is_from_elsewhere = matches!(site, Err(_) | Ok(Some("cross-site" | "same-site")));
    let is_link = mode == Ok(Some("navigate")) && request.header("sec-fetch-dest") == Ok(Some("document"));
    (is_from_elsewhere && !is_link).then(|| Answer::refused(403, "pages of other sites get nothing from here"))
}
