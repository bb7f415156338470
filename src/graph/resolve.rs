//! Checks the wires of a pipeline file: the stages and ports exist, the forms fit, and there is no cycle.

use std::sync::Arc;

use toml::Spanned;

use super::{
    cycle, order,
    wires::{InputWire, Patched, Wires, Wiring, did_you_mean},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span, suggest},
    pipeline::{Loop, StageDef, Wire},
    stage::Form,
};

/// Checks all wires.
pub(super) fn check(patched: &Patched<'_, '_>, found: &mut Diagnostics) -> Wiring {
    let mut wires: Wires = Vec::new();
    for stage in &patched.stages {
        let Some(stage) = stage else {
            wires.push(Vec::new());
            continue;
        };
        wires.push(stage.inputs.iter().filter_map(|wire| join(stage, wire, patched, found)).collect());
        missing(stage, found);
    }
    let carried = patched.pipeline.loops.iter().map(|around| carried(around, patched, found)).collect();
    let order = match order::order(&wires, &order::bodies(patched)) {
        Some(order) => Some(order),
        None => {
            let circles = cycle::cycles(patched, &wires);
            if circles.is_empty() {
                found.extend(order::between(patched, &wires));
            }
            found.extend(circles);
            None
        }
    };
    Wiring { wires, carried, order }
}

/// Checks the wires that a loop carries by the same rules as the wires of its stages.
fn carried(around: &Loop, patched: &Patched<'_, '_>, found: &mut Diagnostics) -> Vec<(usize, InputWire)> {
    let mut all = Vec::new();
    for wire in &around.carry {
        let (key, span) = (wire.port.get_ref(), wire.port.span());
        let Some((name, port)) = key.split_once('.') else {
            let help = "write carry = { \"stage.port\" = \"stage.port\" }, the input in quotes";
            found.add(Diagnostic::new(span, format!("`{key}` does not name an input")).help(help));
            continue;
        };
        if !in_body(name, around, &span, "takes", patched, found) {
            continue;
        }
        let Some((taker, stage)) = patched.find(name) else { continue };
        let maker = wire.from.get_ref().split('.').next().unwrap_or_default();
        if wire.from.get_ref().contains('.') && !in_body(maker, around, &wire.from.span(), "gives", patched, found) {
            continue;
        }
        let port = Spanned::new(span, port.to_owned());
        all.extend(join(stage, &Wire { port, from: wire.from.clone() }, patched, found).map(|joined| (taker, joined)));
    }
    all
}

fn in_body(
    name: &str,
    around: &Loop,
    span: &Span,
    does: &str,
    patched: &Patched<'_, '_>,
    found: &mut Diagnostics,
) -> bool {
    let is_dropped = patched.variant.and_then(|variant| Some((variant, variant.drops(name)?)));
    if around.holds(name) && is_dropped.is_none() {
        return true;
    }
    if patched.pipeline.unread.contains(name) {
        return false;
    }
    let around_name = around.name.get_ref();
    if let Some((variant, place)) = is_dropped {
        let message = format!(
            "variant `{}` drops `{name}`, which loop `{around_name}` carries from or to",
            variant.name.get_ref()
        );
        found.add(Diagnostic::new(place, message).other(span.clone(), "needed here").help("leave it in the graph"));
        return false;
    }
    let body: Vec<&str> = around.body.iter().map(|stage| stage.get_ref().as_str()).collect();
    let message = format!("`{name}`, which {does} what loop `{around_name}` carries, is not in its body");
    let help = match suggest(name, body.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None if patched.find(name).is_some() => format!("add \"{name}\" to `body`, or carry to and from its stages"),
        None => did_you_mean(name, &body),
    };
    found.add(Diagnostic::new(span.clone(), message).other(around.name.span(), "the loop").help(help));
    false
}

fn missing(stage: &StageDef<'_>, found: &mut Diagnostics) {
    for port in stage.kind.inputs.iter().filter(|port| !port.optional) {
        if is_written(stage, port.name) {
            continue;
        }
        let span = stage.inputs_span.clone().unwrap_or(stage.name.span());
        let message = format!("stage `{}` has no input `{}` ({})", stage.name.get_ref(), port.name, port.about);
        found.add(Diagnostic::new(span, message).help(add_input(stage, port.name)));
    }
}

/// Returns the help for a stage whose input `port` is missing.
pub(super) fn add_input(stage: &StageDef<'_>, port: &str) -> String {
    let takes = stage.kind.input(port).map(|port| forms(port.forms)).unwrap_or_default();
    format!("add `{port} = \"STAGE.PORT\"` to `inputs`; it takes {takes}")
}

/// Returns true if the file has a wire for the input `port` of a stage, valid or not.
pub(super) fn is_written(stage: &StageDef<'_>, port: &str) -> bool {
    stage.inputs.iter().any(|wire| wire.port.get_ref() == port || means(stage, wire, port))
}

/// Returns true if the port of a wire is probably a misspelling of `port`, so that only one mistake is reported.
fn means(stage: &StageDef<'_>, wire: &Wire, port: &str) -> bool {
    let word = wire.port.get_ref();
    let names = stage.kind.inputs.iter().map(|port| port.name);
    stage.kind.input(word).is_none() && suggest(word, names) == Some(port)
}

/// Returns the wire if it is valid enough to be followed.
fn join(stage: &StageDef<'_>, wire: &Wire, patched: &Patched<'_, '_>, found: &mut Diagnostics) -> Option<InputWire> {
    let input = stage.kind.input(wire.port.get_ref());
    if input.is_none() {
        let names: Vec<&str> = stage.kind.inputs.iter().map(|port| port.name).collect();
        let message = format!("kind `{}` has no input port `{}`", stage.kind.name, wire.port.get_ref());
        found.add(Diagnostic::new(wire.port.span(), message).help(did_you_mean(wire.port.get_ref(), &names)));
    }
    let (span, from) = (wire.from.span(), wire.from.get_ref());
    let Some((maker, output)) = from.split_once('.') else {
        let message = format!("`{from}` does not name an output");
        let ports = patched.find(from).map(|(_, stage)| stage.kind.outputs.as_slice());
        let help = match ports {
            Some([first, ..]) => format!("write \"STAGE.PORT\", such as \"{from}.{}\"", first.name),
            _ => "write \"STAGE.PORT\"".to_owned(),
        };
        found.add(Diagnostic::new(span, message).help(help));
        return None;
    };
    let (maker, round) = maker.split_once('@').map_or((maker, None), |(maker, round)| (maker, Some(round)));
    if patched.pipeline.unread.contains(maker) {
        return None;
    }
    let Some((index, made)) = patched.find(maker) else {
        found.add(not_there(stage, wire, maker, patched));
        return None;
    };
    let round = match round {
        Some(round) => Some(order::named(round, stage, made, &span, patched, found)?),
        None => None,
    };
    let kind = &made.kind;
    let name: Arc<str> = output.into();
    let Some(output) = kind.output(output) else {
        let names: Vec<&str> = kind.outputs.iter().map(|port| port.name).collect();
        let message = format!("stage `{maker}` (kind `{}`) has no output port `{name}`", kind.name);
        found.add(Diagnostic::new(span, message).help(did_you_mean(&name, &names)));
        return None;
    };
    let input = input?;
    // Where parameters decide the form of an output, `definition` checks the form that they give.
    if !output.forms.iter().any(|form| input.forms.contains(form)) {
        let message = format!("`{}` takes {}, but `{from}` is {}", input.name, forms(input.forms), forms(output.forms));
        let fitting = patched.here().flat_map(|other| {
            let fits =
                other.kind.outputs.iter().filter(|port| port.forms.iter().all(|form| input.forms.contains(form)));
            fits.map(move |port| format!("\"{}.{}\"", other.name.get_ref(), port.name))
        });
        let fitting: Vec<String> = fitting.take(5).collect();
        let mut diagnostic = Diagnostic::new(span.clone(), message);
        if !fitting.is_empty() {
            diagnostic = diagnostic.help(format!("these would fit: {}", fitting.join(", ")));
        }
        found.add(diagnostic);
    }
    Some(InputWire { port: input.name, from: index, round, output: name, span })
}

/// Reports a wire from a stage that is not in the file, or that the variant drops.
fn not_there(stage: &StageDef<'_>, wire: &Wire, maker: &str, patched: &Patched<'_, '_>) -> Diagnostic {
    let span = wire.from.span();
    if let Some((variant, place)) = patched.variant.and_then(|variant| Some((variant, variant.drops(maker)?))) {
        let (variant, name, port) = (variant.name.get_ref(), stage.name.get_ref(), wire.port.get_ref());
        let message = format!("variant `{variant}` drops `{maker}`, but `{name}` needs `{}`", wire.from.get_ref());
        return Diagnostic::new(place, message).label("dropped here").other(span, "needed here").help(format!(
            "join it elsewhere with rewire = {{ \"{name}.{port}\" = \"STAGE.PORT\" }}, or drop `{name}` too"
        ));
    }
    let names: Vec<&str> = patched.here().map(|stage| stage.name.get_ref().as_str()).collect();
    Diagnostic::new(span, format!("there is no stage `{maker}`")).help(did_you_mean(maker, &sorted(names)))
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

/// Lists forms in words.
pub(super) fn forms(forms: &[Form]) -> String {
    forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
