//! `[sweep]` and `[sweep.NAME]`: axes, `zip` groups, explicit `points`, `exclude`, the `seeds` of repeats, and how the
//! points are searched.
//!
//! The file stands for the grid: the product of all axes, where a zip group counts as one axis, without what `exclude`
//! names, and with the explicit points. A key with a dot is an axis, a table without one is a named sweep, and the
//! other keys are reserved.

use toml::{Spanned, de::DeValue};

use super::{
    Value,
    table::{Entry, entries},
};
use crate::diagnostic::{Diagnostic, Diagnostics, Names, Span};

/// Keys of a sweep that are no axes.
const KEYS: [&str; 6] = ["zip", "points", "exclude", "seeds", "vary", "share"];
/// Keys of a sweep that say how it is searched.
const SEARCH_KEYS: [&str; 7] = ["method", "budget", "over", "factor", "start", "score", "goal"];

/// All sweeps of a file.
#[derive(Default)]
pub(crate) struct Sweeps<'t> {
    /// The plain `[sweep]`, if there is something in it.
    pub plain: Option<Sweep<'t>>,
    /// `[sweep.NAME]`.
    pub named: Vec<(Spanned<String>, Sweep<'t>)>,
}

/// One sweep.
#[derive(Default)]
pub(crate) struct Sweep<'t> {
    /// Axes; those of one group advance together, a plain axis is alone in its group.
    pub groups: Vec<Group<'t>>,
    /// Points beside the grid.
    pub points: Vec<Point<'t>>,
    /// Points of the grid that are left out.
    pub exclude: Vec<Point<'t>>,
    /// Repeats of every point.
    pub seeds: Seeds<'t>,
    /// How its points are searched, if not all of them are run.
    pub search: Search<'t>,
}

/// Axes that advance together.
pub(crate) struct Group<'t> {
    /// The place of the table in `zip`; none for a plain axis.
    pub zipped: Option<Span>,
    /// `stage.param` and its values.
    pub axes: Vec<Entry<'t>>,
}

/// An entry of `points` or `exclude`.
pub(crate) struct Point<'t> {
    /// Its place.
    pub span: Span,
    /// `stage.param` and a value (in `exclude` several).
    pub axes: Vec<Entry<'t>>,
    /// False if a key had a mistake, so that it is not there.
    pub complete: bool,
}

/// What a sweep says of repeats.
#[derive(Default)]
pub(crate) struct Seeds<'t> {
    /// `seeds`: how many, or which.
    pub seeds: Option<Entry<'t>>,
    /// `vary`: the stages that have another seed in each repeat.
    pub vary: Option<Vec<Spanned<String>>>,
    /// `share`: the stages that keep theirs.
    pub share: Option<Vec<Spanned<String>>>,
}

/// What a sweep says of its search: the entries under [`SEARCH_KEYS`].
#[derive(Default)]
pub(crate) struct Search<'t>(pub Vec<Entry<'t>>);

impl<'t> Search<'t> {
    /// The entry under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        self.0.iter().find(|entry| entry.key.get_ref() == key)
    }

    /// The text under a key without which the `method` at a place makes no sense.
    ///
    /// # Errors
    /// If it is not there, or no text.
    pub(crate) fn text(&self, key: &str, example: &str, method: &Span) -> Result<Spanned<String>, Diagnostic> {
        let help = format!("write `{key} = \"{example}\"`");
        let Some(Entry { value, .. }) = self.get(key) else {
            return Err(Diagnostic::new(method.clone(), format!("halving needs `{key}`")).help(help));
        };
        match value.get_ref().as_str() {
            Some(text) => Ok(Spanned::new(value.span(), text.to_owned())),
            None => Err(Diagnostic::new(value.span(), format!("`{key}` must be a string")).help(help)),
        }
    }
}

/// True for a key of a sweep that is no axis.
fn is_reserved(key: &str) -> bool {
    KEYS.contains(&key) || SEARCH_KEYS.contains(&key)
}

/// Reads all sweeps of a file with these stages.
pub(crate) fn read<'t>(key: &Span, value: Value<'t>, stages: &[&str], diagnostics: &mut Diagnostics) -> Sweeps<'t> {
    let mut sweeps = Sweeps::default();
    for Entry { key, value } in entries(key, value, diagnostics) {
        let is_named = !key.get_ref().contains('.') && value.get_ref().is_table();
        if is_named && stages.contains(&key.get_ref().as_str()) && means_axes(&value) {
            let message = format!("the axis `{}` must be a list of values", key.get_ref());
            let help = "an axis is written in quotes: \"stage.param\" = [1, 2]";
            diagnostics.add(Diagnostic::new(key.span(), message).help(help));
        } else if is_named && !is_reserved(key.get_ref()) {
            let mut sweep = Sweep::default();
            for entry in entries(&key.span(), value, diagnostics) {
                sweep.read(entry, diagnostics);
            }
            sweeps.named.push((key, sweep));
        } else {
            sweeps.plain.get_or_insert_default().read(Entry { key, value }, diagnostics);
        }
    }
    sweeps
}

/// True for `clusters.clusters = [1, 2]` without quotes, which TOML reads as a table `clusters`.
fn means_axes(value: &Value<'_>) -> bool {
    let known = |key: &str| key.contains('.') || is_reserved(key);
    let table = value.get_ref().as_table();
    table.is_some_and(|table| !table.is_empty() && !table.keys().any(|key| known(key.get_ref())))
}

impl<'t> Sweep<'t> {
    fn read(&mut self, Entry { key, value }: Entry<'t>, diagnostics: &mut Diagnostics) {
        match key.get_ref().as_str() {
            "zip" => {
                for mut point in tables(&key, value, diagnostics) {
                    point.axes.retain(|entry| is_axis(&entry.key, diagnostics));
                    self.groups.push(Group { zipped: Some(point.span), axes: point.axes });
                }
            }
            "points" | "exclude" => {
                let excludes = key.get_ref() == "exclude";
                for mut point in tables(&key, value, diagnostics) {
                    let keys = point.axes.len();
                    point.axes.retain(|entry| {
                        excludes && entry.key.get_ref() == "variant" || is_axis(&entry.key, diagnostics)
                    });
                    point.complete = point.axes.len() == keys;
                    if excludes { self.exclude.push(point) } else { self.points.push(point) }
                }
            }
            "seeds" => self.seeds.seeds = Some(Entry { key, value }),
            "vary" => self.seeds.vary = names(&key, &value, diagnostics),
            "share" => self.seeds.share = names(&key, &value, diagnostics),
            known if SEARCH_KEYS.contains(&known) => self.search.0.push(Entry { key, value }),
            _ => {
                if is_axis(&key, diagnostics) {
                    self.groups.push(Group { zipped: None, axes: vec![Entry { key, value }] });
                }
            }
        }
    }
}

/// The tables of `zip`, `points` or `exclude`.
fn tables<'t>(key: &Spanned<String>, value: Value<'t>, diagnostics: &mut Diagnostics) -> Vec<Point<'t>> {
    let help = format!("write `{} = [{{ \"stage.param\" = … }}]`", key.get_ref());
    let DeValue::Array(items) = value.get_ref() else {
        let message = format!("`{}` must be a list of tables, found {}", key.get_ref(), value.get_ref().type_str());
        diagnostics.add(Diagnostic::new(key.span(), message).help(help));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for item in items.iter() {
        if item.get_ref().is_table() {
            let axes = entries(&item.span(), item.clone(), diagnostics);
            tables.push(Point { span: item.span(), axes, complete: true });
        } else {
            let message = format!("`{}` holds tables, found {}", key.get_ref(), item.get_ref().type_str());
            diagnostics.add(Diagnostic::new(item.span(), message).help(help.clone()));
        }
    }
    tables
}

fn is_axis(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
    let name = key.get_ref();
    let is_axis = name.contains('.');
    if !is_axis {
        let message = format!("`{name}` is not an axis: it does not name a parameter of a stage");
        let names = Names::new(KEYS.into_iter().chain(SEARCH_KEYS));
        let names = names.otherwise("an axis is written in quotes: \"stage.param\" = [1, 2]");
        diagnostics.unknown(key.span(), message, name, &names);
    }
    is_axis
}

/// The names in `vary` or `share`.
fn names(key: &Spanned<String>, value: &Value<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Spanned<String>>> {
    let name = |item: &Value<'_>| Some(Spanned::new(item.span(), item.get_ref().as_str()?.to_owned()));
    let names = value.get_ref().as_array().and_then(|items| items.iter().map(name).collect::<Option<Vec<_>>>());
    if names.is_none() {
        let message = format!("`{}` must be a list of stages", key.get_ref());
        let help = format!("write `{} = [\"stage\"]`", key.get_ref());
        diagnostics.add(Diagnostic::new(value.span(), message).help(help));
    }
    names
}
