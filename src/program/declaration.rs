//! What a pipeline file says of a program: `[kind.NAME]`, as data.

use std::{fmt, time::Duration};

use super::params::Param;
use crate::stage::{Form, Metric};

/// A program that is a kind of stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The name of the kind.
    pub name: &'static str,
    /// What it does, in a line.
    pub doc: String,
    /// The program and its arguments, which may hold placeholders.
    pub run: Vec<Word>,
    /// The files whose content is in the key, relative to the root: names or patterns. `None` stands for those words of
    /// `run` that are files below the root.
    pub files: Option<Vec<String>>,
    /// Raised by the user to run everything of this kind again.
    pub version: u32,
    /// The input ports.
    pub inputs: Vec<ProgramPort>,
    /// The output ports.
    pub outputs: Vec<ProgramPort>,
    /// The parameters.
    pub params: Vec<Param>,
    /// The metrics that it reports, those with a direction.
    pub metrics: Vec<Metric>,
    /// The parameter by which finished work goes on.
    pub extend: Option<&'static str>,
    /// Environment variables that the program sees and whose values are in the key.
    pub environment: Vec<String>,
    /// The longest time that it may run.
    pub timeout: Option<Duration>,
}

/// A port of a program: `features = "features"`, or `labels = "labels?"` if it may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramPort {
    /// Its name.
    pub name: &'static str,
    /// The form of the artifact.
    pub form: Form,
    /// Whether an input may be left out, or an output need not be made.
    pub optional: bool,
}

impl fmt::Display for ProgramPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.form, if self.optional { "?" } else { "" })
    }
}

/// A word of the command: text and placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word as written.
    pub written: String,
    /// Its pieces, at least one.
    pub pieces: Vec<Piece>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// `{inputs.PORT}`: the path of an input.
    Input(String),
    /// `{outputs.PORT}`: the path of an output.
    Output(String),
    /// `{params.NAME}`: the value of a parameter.
    Param(String),
    /// `{threads}`: the number of threads it may use.
    Threads,
    /// `{state}`: the folder for its saved state.
    State,
    /// `{request}`: the path of the request.
    Request,
}

/// A name in braces that is none of the placeholders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{{{0}}}` is no placeholder")]
pub struct NoPlaceholder(pub String);

impl Word {
    /// Takes a word apart. A name in braces is a placeholder, and so is what begins like one; `{{name}}` stands for
    /// `{name}`, and all other braces are text.
    ///
    /// # Errors
    /// If there is no placeholder of that name.
    pub fn parse(word: &str) -> Result<Self, NoPlaceholder> {
        let mut pieces = Vec::new();
        let (mut text, mut rest) = (String::new(), word);
        while let Some(at) = rest.find('{') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((name, after)) = braced(rest, "{{", "}}") {
                text.push_str(&format!("{{{name}}}"));
                rest = after;
            } else if let Some((name, after)) = braced(rest, "{", "}") {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::parse(name)?);
                rest = after;
            } else {
                text.push('{');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { written: word.to_owned(), pieces })
    }

    /// Returns the text of a word without placeholders.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let [Piece::Text(text)] = &self.pieces[..] { Some(text) } else { None }
    }
}

impl Piece {
    fn parse(name: &str) -> Result<Self, NoPlaceholder> {
        Ok(match (name, name.split_once('.')) {
            ("threads", _) => Self::Threads,
            ("state", _) => Self::State,
            ("request", _) => Self::Request,
            (_, Some(("inputs", port))) => Self::Input(port.to_owned()),
            (_, Some(("outputs", port))) => Self::Output(port.to_owned()),
            (_, Some(("params", param))) => Self::Param(param.to_owned()),
            // `{ params.k }` is among these.
            _ => return Err(NoPlaceholder(name.to_owned())),
        })
    }
}

/// Splits a name in braces from the start of a text.
fn braced<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let (name, after) = text.strip_prefix(open)?.split_once(close)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_name);
    let begins_like_one = ["inputs.", "outputs.", "params."].iter().any(|start| name.trim_start().starts_with(start));
    (is_word || begins_like_one).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_placeholders_and_other_braces() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let parse = |word| Word::parse(word).map(|word| word.pieces);
        for plain in ["plain", "", "{}", "{ print $1 }", "{a: .b}", "a}", "{a", "{A}", "{1}"] {
            assert_eq!(parse(plain), Ok(vec![text(plain)]));
        }
        assert_eq!(parse("--k={params.k}x"), Ok(vec![text("--k="), Piece::Param("k".to_owned()), text("x")]));
        assert_eq!(parse("{threads}{state}"), Ok(vec![Piece::Threads, Piece::State]));
        assert_eq!(parse("{{print}} {{{request}"), Ok(vec![text("{print} {{"), Piece::Request]));
        assert_eq!(parse("{inputs.a.b}"), Ok(vec![Piece::Input("a.b".to_owned())]));
        assert_eq!(parse("{params.a b}"), Ok(vec![Piece::Param("a b".to_owned())]), "there is no such parameter");
        for wrong in ["thread", " params.k ", "input.x"] {
            let word = format!("{{{wrong}}}");
            assert_eq!(Word::parse(&word).err(), Some(NoPlaceholder(wrong.to_owned())));
        }
    }
}
