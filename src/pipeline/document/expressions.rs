//! Expressions in a table.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::paths;
use crate::{
    diagnostic::Span,
    pipeline::expression::{self, Expression},
};

/// The expressions of a table, at any depth, each with its key path and place. Those that cannot be read are left
/// out: they were reported when the file was read.
#[must_use]
pub fn expressions(table: &DeTable<'_>) -> Vec<(Vec<String>, Span, Expression)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let key = key.get_ref().to_string();
        match value.get_ref() {
            DeValue::Table(inner) => {
                found.extend(
                    expressions(inner)
                        .into_iter()
                        .map(|(path, span, expression)| ([vec![key.clone()], path].concat(), span, expression)),
                );
            }
            value_of => {
                let parsed = value_of.as_str().and_then(expression::body).map(Expression::parse);
                found.extend(parsed.and_then(Result::ok).map(|parsed| (vec![key], value.span(), parsed)));
            }
        }
    }
    found
}

/// Puts a value in the place of an expression, or removes the expression if there is no value.
pub fn replace<'t>(table: &mut DeTable<'t>, path: &[String], value: Option<Spanned<DeValue<'t>>>) {
    let Some(value) = value else { return paths::remove(table, path) };
    match path {
        [] => {}
        [last] => {
            if let Some(old) = table.get_mut(last.as_str()) {
                *old = value;
            }
        }
        [first, rest @ ..] => {
            if let Some(DeValue::Table(inner)) = table.get_mut(first.as_str()).map(Spanned::get_mut) {
                replace(inner, rest, Some(value));
            }
        }
    }
}
