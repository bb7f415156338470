//! A stage with its parameters, and the mistakes in it that can be found before anything runs.

use std::{collections::BTreeMap, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    expressions::Ties,
    instance::{Definition, Instances, Link, Places},
    resolve,
    unrolled::Edge,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Sources, Span},
    digest::StageKey,
    pipeline::{self, Pipeline, typed},
    stage::{BadParam, Foresight, Need, Problems},
};

/// Reports the mistakes of each stage alone. Used where a cycle leaves no order in which to check the whole graph.
pub(super) fn check_alone(ties: &Ties<'_, '_>, found: &mut Diagnostics) {
    let patched = ties.patched();
    for (stage, def) in patched.stages.iter().enumerate() {
        let Some(def) = def else { continue };
        let mut table = def.params.clone();
        for (path, ..) in pipeline::expressions(&def.params) {
            pipeline::replace(&mut table, &path, None);
        }
        let places = Arc::new(places(ties, stage, &[], &[]));
        let definition = define(ties, stage, (&places, Box::default()), table, &mut Ids::new(), found);
        check(&definition, &[], &Instances::new(), patched.pipeline, found);
    }
}

/// Numbers the pairs of kind and parameters, by the digest of both.
pub(super) type Ids = BTreeMap<StageKey, usize>;

/// Returns the places of a node's definitions in the texts.
pub(super) fn places<'t>(ties: &Ties<'_, 't>, stage: usize, axes: &[usize], inputs: &[Edge]) -> Places<'t> {
    let patched = ties.patched();
    let def = patched.stages[stage].as_ref().unwrap_or(&patched.pipeline.stages[stage]);
    Places {
        table: def.params.clone(),
        header: def.name.span(),
        inputs: inputs.iter().map(|edge| (edge.port, edge.span.clone())).collect(),
        axes: axes.iter().map(|&axis| patched.pipeline.axes[axis].path.join(".")).collect(),
    }
}

/// Defines a stage from a table of parameters, with the places of the stage and of the values of its axes.
pub(super) fn define<'t>(
    ties: &Ties<'_, 't>,
    stage: usize,
    (places, varied): (&Arc<Places<'t>>, Box<[Span]>),
    table: DeTable<'t>,
    ids: &mut Ids,
    found: &mut Diagnostics,
) -> Definition<'t> {
    let patched = ties.patched();
    let def = patched.stages[stage].as_ref().unwrap_or(&patched.pipeline.stages[stage]);
    let work = typed(&def.kind, &def.name, table.clone(), found);
    let next = ids.len();
    let text = serde_json::to_vec(&(def.kind.name, work.effective())).expect("parameters are plain data");
    let id = *ids.entry(StageKey::of(&text)).or_insert(next);
    let needs = work.needs();
    let is_written =
        |path: &&str| pipeline::document::key_at(&table, path).filter(|key| names(patched.pipeline.sources, key, path));
    let idle = work.idle().into_iter().filter_map(|path| Some((path, is_written(&path)?))).collect();
    let definition = Definition {
        stage: def.name.get_ref().clone(),
        kind: def.kind.clone(),
        work,
        retries: def.retries,
        needs: def.resources,
        id,
        idle,
        not_finite: not_finite("", &table).into(),
        places: places.clone(),
        varied,
    };
    for Need { port, path, what } in needs.into_iter().filter(|need| !resolve::is_written(def, need.port)) {
        let message = format!("`{}.{path}`: {what} needs the input `{port}`", definition.stage);
        let diagnostic = Diagnostic::new(definition.span(path), message).help(resolve::add_input(def, port));
        found.add(diagnostic);
    }
    definition
}

/// Returns the numbers in a table that are NaN or infinite: the key path of the parameter, the place, and the number as
/// written.
fn not_finite(prefix: &str, table: &DeTable<'_>) -> Vec<(String, Span, String)> {
    fn at(path: &str, value: &Spanned<DeValue<'_>>, found: &mut Vec<(String, Span, String)>) {
        match value.get_ref() {
            DeValue::Float(number) if !number.as_str().replace('_', "").parse().is_ok_and(f64::is_finite) => {
                found.push((path.to_owned(), value.span(), number.to_string()));
            }
            DeValue::Array(items) => items.iter().for_each(|item| at(path, item, found)),
            DeValue::Table(table) => found.extend(not_finite(path, table)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, value) in table {
        let dot = if prefix.is_empty() { "" } else { "." };
        at(&format!("{prefix}{dot}{}", key.get_ref()), value, &mut found);
    }
    found
}

/// Returns true if the user wrote a key of a table as this parameter. A seed that was filled in has the place of
/// `[pipeline]` or of `seeds` instead.
fn names(sources: &Sources, key: &Span, path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let written = sources.slice(key).unwrap_or_default().trim_matches(['"', '\'']);
    written.rsplit('.').next() == Some(name)
}

/// Warns of parameters that the user sets and that have no effect in any instance of their stage.
pub(super) fn idle(instances: &Instances<'_>, found: &mut Diagnostics) {
    let mut definitions: BTreeMap<&str, BTreeMap<*const Definition<'_>, &Definition<'_>>> = BTreeMap::new();
    for instance in instances {
        let of_stage = definitions.entry(&instance.stage).or_default();
        of_stage.insert(Arc::as_ptr(&instance.definition), &instance.definition);
    }
    for (stage, definitions) in definitions {
        let mut written: BTreeMap<&str, (usize, &Span)> = BTreeMap::new();
        for definition in definitions.values() {
            for (path, key) in &definition.idle {
                written.entry(path).or_insert((0, key)).0 += 1;
            }
        }
        for (path, (count, key)) in written {
            if count == definitions.len() {
                let message = format!("`{stage}.{path}` has no effect, given the other parameters of the stage");
                let help = "take it out, or change the parameter that switches it off";
                found.add(Diagnostic::warning(key.clone(), message).help(help));
            }
        }
    }
}

/// Reports invalid parameters, parameters that do not fit the inputs, and inputs that nothing produces, unless the text is
/// that of an earlier run. Returns the facts that are known about the outputs.
pub(super) fn check(
    definition: &Definition<'_>,
    links: &[Link],
    above: &Instances<'_>,
    pipeline: &Pipeline<'_>,
    found: &mut Diagnostics,
) -> Foresight {
    let mut note = |diagnostic: Diagnostic| {
        if !pipeline.recorded {
            found.add(diagnostic);
        }
    };
    let mut known = Foresight::new();
    for link in links {
        let maker = &above[link.from];
        let output = link.output.split('@').next().unwrap_or(&link.output);
        let foreseen = maker.foreseen.get(output).cloned().unwrap_or_default();
        if let Some(parameter) = foreseen.left_out_by {
            let message = format!("stage `{}` does not make `{output}`", maker.stage);
            let help = format!("set `{}.{parameter}`, or join the input to another output", maker.stage);
            note(Diagnostic::new(definition.input_span(link.port), message).help(help));
        }
        if let Some((form, parameter)) = foreseen.form
            && let Some(input) = definition.kind.input(link.port).filter(|input| !input.forms.contains(&form))
        {
            let (takes, stage) = (resolve::forms(input.forms), &maker.stage);
            let message = format!("`{}` takes {takes}, but `{stage}.{output}` is {form}", link.port);
            let help = format!("set `{stage}.{parameter}` to what it holds, or join the input to another output");
            note(Diagnostic::new(definition.input_span(link.port), message).help(help));
        }
        known.insert(link.port, foreseen);
    }
    let mut problems = Problems::default();
    definition.work.check(&mut problems);
    let foreseen = definition.work.foresee(&known, &pipeline.root, &mut problems);
    let problems = problems.into_vec();
    for (path, span, number) in &definition.not_finite {
        if !problems.iter().any(|problem| problem.path == *path) {
            let message = format!("`{}.{path}`: must be a finite number, got {number}", definition.stage);
            note(Diagnostic::new(span.clone(), message));
        }
    }
    for BadParam { severity, path, message, help } in problems {
        let text = format!("`{}.{path}`: {message}", definition.stage);
        let mut diagnostic = Diagnostic::new(definition.span(&path), text);
        (diagnostic.severity, diagnostic.help) = (severity, help);
        note(diagnostic);
    }
    foreseen
}

/// Reports inputs `PORT@EPOCH` whose epoch the other stage does not keep.
pub(super) fn kept(definition: &Definition<'_>, links: &[Link], above: &Instances<'_>, found: &mut Diagnostics) {
    for link in links {
        let Some((_, epoch)) = link.output.split_once('@') else { continue };
        let maker = &above[link.from];
        let keep = maker.work.extent().map(|extent| extent.keep);
        let wanted = epoch.parse::<u64>().ok();
        if wanted.zip(keep.as_ref()).is_some_and(|(epoch, keep)| keep.contains(&epoch)) {
            continue;
        }
        let message = format!("stage `{}` does not keep `{}`", maker.stage, link.output);
        let help = match (keep, wanted) {
            (Some(_), Some(epoch)) => format!("add `keep_epochs = [{epoch}]` to `[stage.{}]`", maker.stage),
            (None, _) => format!("kind `{}` keeps no epochs; leave `@{epoch}` out", maker.kind.name),
            (_, None) => "an epoch is a number: `weights@5`".to_owned(),
        };
        let diagnostic = Diagnostic::new(definition.input_span(link.port), message).help(help);
        found.add(diagnostic);
    }
}
