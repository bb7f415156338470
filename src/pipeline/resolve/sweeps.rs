//! `[sweep]` and `[sweep.NAME]`: axes, `zip` groups, explicit `points`, `exclude`, and the `seeds` of repeats.
//!
//! The file stands for the grid: the product of all axes, where a zip group counts as one axis, less what `exclude` names,
//! and the explicit points beside it. A key with a dot is an axis, a table without one is a named sweep, and the rest of
//! the keys is reserved.

use toml::{Spanned, de::DeValue};

use super::{Axis, Pipeline, parse::Reader, search, seeds::Seeds, values::Role};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// Keys of a sweep table that are no axes.
const KEYS: [&str; 6] = ["zip", "points", "exclude", "seeds", "vary", "share"];

/// True for a key of a sweep table that is no axis.
fn is_key(key: &str) -> bool {
    KEYS.contains(&key) || search::KEYS.contains(&key)
}

/// One sweep as written.
#[derive(Default)]
pub(in crate::pipeline) struct Written<'t> {
    /// Axes that advance together; a plain axis is alone in its group.
    pub groups: Vec<Vec<Axis<'t>>>,
    /// Points that stand beside the grid.
    pub points: Vec<Entry<'t>>,
    /// Points of the grid that are left out.
    pub exclude: Vec<Entry<'t>>,
    /// Repeats of every point.
    pub seeds: Seeds<'t>,
    /// How its points are searched, if not all of them.
    pub search: search::Written<'t>,
}

/// Some axes with the values that an entry of `points` (one each) or `exclude` gives them.
pub(in crate::pipeline) struct Entry<'t> {
    /// Where it stands.
    pub span: Span,
    /// An axis for each key.
    pub axes: Vec<Axis<'t>>,
    /// False if a key had a mistake, so that it is not there.
    pub complete: bool,
}

/// Keys and values, in the order of the file.
type Entries<'t> = Vec<(Spanned<String>, Spanned<DeValue<'t>>)>;

/// All sweeps of a file.
#[derive(Default)]
pub(in crate::pipeline) struct Sweeps<'t> {
    /// Whether there is a plain `[sweep]` with something in it.
    pub plain: bool,
    /// The plain one.
    pub default: Written<'t>,
    /// The named ones.
    pub named: Vec<(Spanned<String>, Written<'t>)>,
}

impl<'t> Sweeps<'t> {
    /// The sweep that is asked for, and what to say about the choice.
    pub fn choose(
        mut self,
        wanted: Option<&Spanned<String>>,
        found: &mut Vec<Diagnostic>,
    ) -> (Written<'t>, Option<String>) {
        let names: Vec<String> = self.named.iter().map(|(name, _)| name.get_ref().clone()).collect();
        let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let Some(wanted) = wanted else {
            let note = (!self.plain && !names.is_empty())
                .then(|| format!("no sweep is chosen: `--sweep NAME` chooses one of {listed}"));
            return (self.default, note);
        };
        if let Some(at) = names.iter().position(|name| name == wanted.get_ref()) {
            return (self.named.swap_remove(at).1, None);
        }
        let message = format!("there is no sweep `{}`", wanted.get_ref());
        let help = match suggest(wanted.get_ref(), names.iter().map(String::as_str)) {
            Some(like) => format!("did you mean `{like}`? there are {listed}"),
            None if names.is_empty() => "the file has no named sweeps; one is written `[sweep.NAME]`".to_owned(),
            None => format!("there are {listed}"),
        };
        found.push(Diagnostic::new(wanted.span(), message).help(help));
        (Written::default(), None)
    }
}

impl<'t> Reader<'_, 't> {
    pub(in crate::pipeline) fn sweeps(
        &mut self,
        key: &Span,
        value: Spanned<DeValue<'t>>,
        pipeline: &Pipeline<'t>,
    ) -> Sweeps<'t> {
        let mut sweeps = Sweeps::default();
        for (key, value) in self.table(key, value) {
            let (span, name) = (key.span(), key.into_inner().into_owned());
            let key = Spanned::new(span, name);
            let is_named = !key.get_ref().contains('.') && value.get_ref().is_table();
            if is_named && self.means_axes(&key, &value, pipeline) {
                let message = format!("the axis `{}` must be a list of values", key.get_ref());
                let help = "an axis is written in quotes: \"stage.param\" = [1, 2]";
                self.found.push(Diagnostic::new(key.span(), message).help(help));
            } else if is_named && !is_key(key.get_ref()) {
                let mut written = Written::default();
                for (inner, value) in self.table(&key.span(), value) {
                    let inner = Spanned::new(inner.span(), inner.into_inner().into_owned());
                    self.sweep_key(inner, value, &mut written, pipeline);
                }
                self.once(&mut written);
                sweeps.named.push((key, written));
            } else {
                sweeps.plain = true;
                self.sweep_key(key, value, &mut sweeps.default, pipeline);
            }
        }
        self.once(&mut sweeps.default);
        sweeps
    }

    /// True for `clusters.clusters = [1, 2]` without quotes, which TOML reads as a table `clusters`.
    fn means_axes(&self, key: &Spanned<String>, value: &Spanned<DeValue<'t>>, pipeline: &Pipeline<'t>) -> bool {
        let is_stage = pipeline.stages.iter().any(|stage| stage.name.get_ref() == key.get_ref());
        let known = |key: &str| key.contains('.') || is_key(key);
        is_stage
            && value
                .get_ref()
                .as_table()
                .is_some_and(|table| !table.is_empty() && !table.keys().any(|key| known(key.get_ref())))
    }

    fn sweep_key(
        &mut self,
        key: Spanned<String>,
        value: Spanned<DeValue<'t>>,
        written: &mut Written<'t>,
        pipeline: &Pipeline<'t>,
    ) {
        match key.get_ref().as_str() {
            "zip" => {
                for (span, entries) in self.tables(&key, value) {
                    let axes =
                        entries.into_iter().filter_map(|(key, value)| self.axis(key, value, Role::Grid, pipeline));
                    let axes: Vec<Axis<'t>> = axes.collect();
                    self.equal_lengths(&span, &axes);
                    written.groups.push(axes);
                }
            }
            "points" | "exclude" => {
                let points = key.get_ref() == "points";
                for (span, entries) in self.tables(&key, value) {
                    let (mut axes, keys) = (Vec::new(), entries.len());
                    for (key, value) in entries {
                        if !points && key.get_ref() == "variant" {
                            axes.extend(self.listed(&key, &value).map(|values| Axis::variant(key, values)));
                        } else {
                            let role = if points { Role::Point } else { Role::Exclude };
                            axes.extend(self.axis(key, value, role, pipeline));
                        }
                    }
                    let entry = Entry { span, complete: axes.len() == keys, axes };
                    if points { written.points.push(entry) } else { written.exclude.push(entry) }
                }
            }
            "seeds" => written.seeds.seeds = Some((key, value)),
            "vary" => written.seeds.vary = self.names(&key, value),
            "share" => written.seeds.share = self.names(&key, value),
            known if search::KEYS.contains(&known) => written.search.0.push((key, value)),
            _ => written.groups.extend(self.axis(key, value, Role::Grid, pipeline).map(|axis| vec![axis])),
        }
    }

    /// The tables of `zip`, `points` or `exclude`, each with its place.
    fn tables(&mut self, key: &Spanned<String>, value: Spanned<DeValue<'t>>) -> Vec<(Span, Entries<'t>)> {
        let help = format!("write `{} = [{{ \"stage.param\" = … }}]`", key.get_ref());
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("`{}` must be a list of tables, found {}", key.get_ref(), value.get_ref().type_str());
            self.found.push(Diagnostic::new(key.span(), message).help(help));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            if !item.get_ref().is_table() {
                let message = format!("`{}` holds tables, found {}", key.get_ref(), item.get_ref().type_str());
                self.found.push(Diagnostic::new(item.span(), message).help(help.clone()));
                continue;
            }
            let entries = self.table(&item.span(), item.clone()).into_iter();
            let entries = entries.map(|(key, value)| (Spanned::new(key.span(), key.into_inner().into_owned()), value));
            tables.push((item.span(), entries.collect()));
        }
        tables
    }

    /// An axis that names a parameter which is there.
    fn axis(
        &mut self,
        key: Spanned<String>,
        value: Spanned<DeValue<'t>>,
        role: Role,
        pipeline: &Pipeline<'t>,
    ) -> Option<Axis<'t>> {
        let name = key.get_ref();
        if !name.contains('.') {
            let message = format!("`{name}` is no axis: it does not name a parameter of a stage");
            let help = match suggest(name, KEYS.into_iter().chain(search::KEYS)) {
                Some(like) => format!("did you mean `{like}`?"),
                None => "an axis is written in quotes: \"stage.param\" = [1, 2]".to_owned(),
            };
            self.found.push(Diagnostic::new(key.span(), message).help(help));
            return None;
        }
        let mut axis = Axis::new(key, Vec::new());
        if !self.can_vary(&axis, pipeline) {
            return None;
        }
        axis.values = self.values(&axis, value, role, pipeline)?;
        (self.can_vary(&axis, pipeline) && self.left_out(&mut axis, pipeline)).then_some(axis)
    }

    fn equal_lengths(&mut self, span: &Span, axes: &[Axis<'t>]) {
        let [first, rest @ ..] = axes else { return };
        if rest.is_empty() {
            let message = format!("a zip group of `{}` alone", first.key.get_ref());
            let help = "a group has two axes or more that advance together; a single axis stands beside `zip`";
            self.found.push(Diagnostic::new(span.clone(), message).help(help));
        }
        let Some(other) = rest.iter().find(|axis| axis.values.len() != first.values.len()) else { return };
        let count = |axis: &Axis<'t>| match axis.values.len() {
            1 => "1 value".to_owned(),
            n => format!("{n} values"),
        };
        let message = format!(
            "zipped axes of unequal lengths: `{}` has {}, `{}` has {}",
            first.key.get_ref(),
            count(first),
            other.key.get_ref(),
            count(other)
        );
        let diagnostic = Diagnostic::new(other.key.span(), message)
            .label(count(other))
            .other(first.key.span(), count(first))
            .help("zipped axes advance together: give each the same number of values, or cross them outside `zip`");
        self.found.push(diagnostic);
    }

    /// An axis is in one group only.
    fn once(&mut self, written: &mut Written<'t>) {
        let mut seen: Vec<Spanned<String>> = Vec::new();
        for group in &mut written.groups {
            group.retain(|axis| {
                let before = seen.iter().find(|key| key.get_ref() == axis.key.get_ref());
                if let Some(before) = before {
                    let message = format!("the axis `{}` is there twice", axis.key.get_ref());
                    let diagnostic = Diagnostic::new(axis.key.span(), message).label("again here");
                    self.found.push(diagnostic.other(before.span(), "first here").help("keep one of the two"));
                    return false;
                }
                seen.push(axis.key.clone());
                true
            });
        }
    }
}
