//! A kind of stage as TOML to copy: its ports, and every parameter with its default and its meaning.

use serde_json::{Map, Value};

use super::resolve::params::Params;
use crate::stage::{Port, StageKind};

/// Columns of comments.
const WIDTH: usize = 96;

/// A stage of this kind as it could stand in a pipeline file, with comments.
#[must_use]
pub fn kind_toml(kind: &StageKind) -> String {
    let params = Params::of(kind);
    let mut text = comment(about(params.schema()));
    text.push_str(&format!("\n[stage.{name}]\nkind = \"{name}\"\n", name = kind.name));
    let needed: Vec<String> = kind
        .inputs
        .iter()
        .filter(|port| !port.optional)
        .map(|port| format!("{} = \"STAGE.PORT\"", port.name))
        .collect();
    if !needed.is_empty() {
        text.push_str(&format!("inputs = {{ {} }}\n", needed.join(", ")));
    }
    kind.inputs.iter().for_each(|port| text.push_str(&port_line("input", port)));
    kind.outputs.iter().for_each(|port| text.push_str(&port_line("output", port)));
    if let Value::Object(defaults) = kind.default_stage().params() {
        table(&params, params.schema(), &defaults, &format!("stage.{}", kind.name), &mut text);
    }
    text
}

/// The parameters of a table. Those that are tables themselves come last, as TOML requires.
fn table(params: &Params, schema: &Value, defaults: &Map<String, Value>, path: &str, text: &mut String) {
    let fields = params.fields(schema).unwrap_or_default();
    let mut inner = Vec::new();
    for (name, field) in fields {
        match defaults.get(name) {
            Some(Value::Object(defaults)) => inner.push((name, field, defaults)),
            default => {
                let words: Vec<String> = params.words(field).iter().map(|word| format!("\"{word}\"")).collect();
                let words = if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) };
                text.push_str(&format!("\n{}", comment(&format!("{}{words}", about(field)))));
                text.push_str(&match default {
                    // JSON's numbers, texts and lists are TOML.
                    Some(default) if !default.is_null() => format!("{name} = {default}\n"),
                    _ => format!("# {name} = …\n"),
                });
            }
        }
    }
    for (name, field, defaults) in inner {
        let path = format!("{path}.{name}");
        text.push_str(&format!("\n{}[{path}]\n", comment(about(field))));
        table(params, field, defaults, &path, text);
    }
}

fn port_line(word: &str, port: &Port) -> String {
    let forms = port.forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let optional = if port.optional { ", optional" } else { "" };
    comment(&format!("{word} `{}` ({forms}{optional}): {}", port.name, port.about))
}

fn about(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn comment(words: &str) -> String {
    if words.is_empty() {
        return String::new();
    }
    // Lines of one paragraph are joined.
    let paragraphs = words.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    let lines = paragraphs
        .flat_map(|paragraph| textwrap::wrap(&paragraph, WIDTH).into_iter().map(String::from).collect::<Vec<_>>());
    lines.map(|line| format!("# {line}\n")).collect()
}
