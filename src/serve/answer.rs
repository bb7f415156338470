//! Answers to requests, with the headers that keep a page to itself.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;

/// What the page may do: load its own parts and ask this server, nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a report may do. It holds scripts of its own, so it gets an origin of its own, which cannot ask this server, and no
/// network.
const REPORT_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; \
    style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'";

/// An answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The media type.
    pub(super) kind: &'static str,
    pub(super) body: Cow<'static, [u8]>,
    policy: &'static str,
}

impl Answer {
    /// A part of the page, which is in the program.
    pub(super) fn part(kind: &'static str, text: &'static str) -> Self {
        Self { status: 200, kind, body: Cow::Borrowed(text.as_bytes()), policy: PAGE_POLICY }
    }

    /// A JSON document; `"format"` is part of it.
    pub(super) fn json(document: &impl Serialize) -> Self {
        match serde_json::to_vec(document) {
            Ok(body) => Self { status: 200, kind: JSON, body: body.into(), policy: PAGE_POLICY },
            Err(error) => Self::refused(500, &error.to_string()),
        }
    }

    /// A report.
    pub(super) fn report(html: String) -> Self {
        Self { status: 200, kind: HTML, body: html.into_bytes().into(), policy: REPORT_POLICY }
    }

    /// A refusal, with the reason.
    pub(super) fn refused(status: u16, why: &str) -> Self {
        let body = json!({ "format": 1, "error": why }).to_string().into_bytes();
        Self { status, kind: JSON, body: body.into(), policy: PAGE_POLICY }
    }

    /// The refusal of an address under which nothing is.
    pub(super) fn absent(what: &str) -> Self {
        Self::refused(404, what)
    }

    /// The headers of the answer, except those that every HTTP answer has.
    pub(super) fn headers(&self) -> [(&'static str, &'static str); 7] {
        [
            ("Content-Type", self.kind),
            ("Content-Security-Policy", self.policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            // The browser asks each time whether the copy that it keeps is still good.
            ("Cache-Control", "no-cache"),
        ]
    }
}

pub(super) const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
