//! `-S stage.param=value`: values given on the command line.

use toml::{Spanned, de::DeValue};

use crate::{
    diagnostic::{Diagnostic, Span},
    pipeline::document,
};

/// One `-S`: a key path and one value, or several that make an axis.
#[derive(Clone, Debug)]
pub(crate) struct Override<'t> {
    /// `stage.param.path`, and its place.
    pub key: Spanned<String>,
    /// The values.
    pub values: Vec<Spanned<DeValue<'t>>>,
}

/// Reads one `-S` argument, a text that starts at `start`.
///
/// # Errors
/// If it is not of the form `stage.param=value`.
pub(crate) fn parse(argument: &str, start: usize) -> Result<Override<'_>, Diagnostic> {
    let whole = start..start + argument.len();
    let help = "write `-S stage.param=value`, or `-S stage.param=a,b,c` for an axis";
    let Some((key, value)) = argument.split_once('=') else {
        return Err(Diagnostic::new(whole, "an override needs a `=`").help(help));
    };
    if !key.contains('.') || key.split('.').any(str::is_empty) {
        let span = start..start + key.len();
        let of_pipeline = matches!(key, "seed" | "name").then(|| format!("write `-S pipeline.{key}={value}`"));
        let help = of_pipeline.unwrap_or_else(|| help.to_owned());
        return Err(Diagnostic::new(span, format!("`{key}` does not name a parameter of a stage")).help(help));
    }
    let values = split(value)
        .into_iter()
        .map(|part| {
            let offset = start + key.len() + 1 + part.start;
            let text = &value[part];
            let lead = text.len() - text.trim_start().len();
            read(text.trim(), offset + lead)
        })
        .collect();
    Ok(Override { key: Spanned::new(start..start + key.len(), key.to_owned()), values })
}

/// A TOML value; anything that is not one is a string, so that paths and names need no quotes.
fn read(text: &str, offset: usize) -> Spanned<DeValue<'_>> {
    let parsed = DeValue::parse(text).ok().filter(|value| !text.is_empty() && !value.get_ref().is_datetime());
    match parsed {
        Some(value) => document::shifted(value, offset),
        None => Spanned::new(offset..offset + text.len(), DeValue::String(text.into())),
    }
}

/// The parts between commas that stand outside brackets and quotes. In text, one of those may stand alone: `it's`,
/// `a[b`.
fn split(value: &str) -> Vec<Span> {
    let (mut parts, mut from, mut depth, mut quote, mut before) = (Vec::new(), 0, 0i32, None, ',');
    let mut balanced = true;
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if matches!(before, ',' | '[' | '{' | '(' | '=') => quote = Some(c),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(from..at);
                from = at + 1;
            }
            _ => {}
        }
        balanced &= depth >= 0;
        before = if c.is_whitespace() { before } else { c };
    }
    parts.push(from..value.len());
    if balanced && depth == 0 && quote.is_none() {
        return parts;
    }
    let commas = value.match_indices(',').map(|(at, _)| at);
    let starts = std::iter::once(0).chain(commas.clone().map(|at| at + 1));
    starts.zip(commas.chain([value.len()])).map(|(start, end)| start..end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(argument: &str) -> Vec<String> {
        let read = parse(argument, 0).expect("fine");
        read.values.iter().map(|v| format!("{}:{}", v.get_ref().type_str(), document::display(v.get_ref()))).collect()
    }

    #[test]
    fn values_are_toml_or_else_text() {
        assert_eq!(values("a.b=1"), ["integer:1"]);
        assert_eq!(values("a.b=0.5,1e-3"), ["float:0.5", "float:1e-3"]);
        assert_eq!(values("a.b=random,stratified"), ["string:random", "string:stratified"]);
        assert_eq!(values("a.path=/data/x y"), ["string:/data/x y"]);
        assert_eq!(values("a.b=[1, 2],[3]"), ["array:[1,2]", "array:[3]"]);
        assert_eq!(values("a.b='x,y'"), ["string:x,y"]);
        assert_eq!(values("a.flag=true"), ["boolean:true"]);
        assert_eq!(values("a.path=it's,x"), ["string:it's", "string:x"]);
        assert_eq!(values("a.path=br[a,b],c"), ["string:br[a,b]", "string:c"]);
        assert_eq!(values("a.path=br[a,b"), ["string:br[a", "string:b"]);
        assert_eq!(values("a.path=a],b"), ["string:a]", "string:b"]);
        assert_eq!(values("a.path='x,y', \"z,w\""), ["string:x,y", "string:z,w"]);
        assert_eq!(values("a.b=1,range(2, 8, *2)"), ["integer:1", "string:range(2, 8, *2)"]);
        assert_eq!(values("a.b== 2 * c.d"), ["string:= 2 * c.d"]);
    }

    #[test]
    fn places_point_into_the_argument() {
        let read = parse("a.b=10, 20", 100).expect("fine");
        assert_eq!(read.values[1].span(), 108..110);
        assert_eq!(read.key.span(), 100..103);
    }
}
