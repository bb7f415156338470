//! Evaluates expressions, and finds the axes that reach a stage through them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::Value;
use toml::de::DeTable;

use super::wires::Patched;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{self, Expression, Number, ParamRef, document},
};

/// Returns the index of the value that each axis has at a point.
pub(super) type Point<'a> = &'a dyn Fn(usize) -> u32;

/// A parameter: the stage and the key.
type Param = (usize, String);

/// A parameter at a point: the stage, the key, and the values of the axes that the parameter depends on.
type Known = (usize, String, Vec<u32>);

/// The expressions of one graph.
pub(super) struct Ties<'a, 't> {
    patched: &'a Patched<'a, 't>,
    known: RefCell<BTreeMap<Known, Value>>,
    axes: RefCell<BTreeMap<Param, Rc<[usize]>>>,
}

impl<'a, 't> Ties<'a, 't> {
    pub(super) fn new(patched: &'a Patched<'a, 't>) -> Self {
        Self { patched, known: RefCell::default(), axes: RefCell::default() }
    }

    /// Returns the graph that the expressions belong to.
    pub(super) fn patched(&self) -> &'a Patched<'a, 't> {
        self.patched
    }

    /// Returns the axes over a stage's own parameters, without those over parameters that the variant sets.
    pub(super) fn own(&self, stage: usize) -> Vec<usize> {
        let Some(def) = &self.patched.stages[stage] else { return Vec::new() };
        let name = def.name.get_ref();
        let patches = self.patched.variant.map_or(&[][..], |variant| &variant.set);
        let is_set = |path: &[String]| patches.iter().any(|p| p.stage == *name && path.starts_with(&p.path));
        let axes = self.patched.pipeline.axes.iter().enumerate();
        axes.filter(|(_, axis)| axis.stage == *name && !is_set(&axis.path)).map(|(index, _)| index).collect()
    }

    /// Returns the parameters that the expressions of a stage (or of one parameter, if `key` is given) refer to: stage,
    /// key, and place of the expression.
    fn direct(&self, stage: usize, key: Option<&str>) -> Vec<(usize, String, Span)> {
        let Some(def) = &self.patched.stages[stage] else { return Vec::new() };
        let axes = &self.patched.pipeline.axes;
        let own = self.own(stage);
        let wanted = |path: &[String]| key.is_none_or(|key| path.first().is_some_and(|first| first == key));
        let varied = |path: &[String]| own.iter().any(|&axis| path.starts_with(&axes[axis].path));
        let written = pipeline::expressions(&def.params).into_iter();
        let mut all: Vec<(Span, Expression)> = written
            .filter(|(path, ..)| wanted(path) && !varied(path))
            .map(|(_, span, expression)| (span, expression))
            .collect();
        for &axis in own.iter().filter(|&&axis| wanted(&axes[axis].path)) {
            for value in axes[axis].values.iter().filter(|value| value.get_ref().is_str() || value.get_ref().is_table())
            {
                let mut table = DeTable::new();
                document::set(&mut table, &axes[axis].path, value.span(), value.clone());
                all.extend(pipeline::expressions(&table).into_iter().map(|(_, span, found)| (span, found)));
            }
        }
        let references = all.iter().flat_map(|(span, e)| e.references().into_iter().map(move |r| (span, r)));
        let index = |name: &str| self.patched.pipeline.stages.iter().position(|stage| stage.name.get_ref() == name);
        references.filter_map(|(span, r)| Some((index(&r.stage)?, r.path.first()?.clone(), span.clone()))).collect()
    }

    /// Returns all parameters that a stage's parameters are computed from, each with the place of an expression that
    /// refers to it.
    pub(super) fn needs(&self, stage: usize) -> BTreeMap<(usize, String), Span> {
        let mut all = BTreeMap::new();
        let mut open = self.direct(stage, None);
        while let Some((stage, key, span)) = open.pop() {
            if !all.contains_key(&(stage, key.clone())) {
                open.extend(self.direct(stage, Some(&key)));
                all.insert((stage, key), span);
            }
        }
        all
    }

    /// Returns the axes that decide a stage's parameters: its own axes, and those of the parameters that its
    /// expressions refer to.
    pub(super) fn axes(&self, stage: usize) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = self.own(stage).into_iter().collect();
        for (other, key) in self.needs(stage).keys() {
            all.extend(self.axes_of(*other, key));
        }
        all
    }

    fn axes_of(&self, stage: usize, key: &str) -> Vec<usize> {
        let over = |axis: &usize| self.patched.pipeline.axes[*axis].path.first().is_some_and(|first| first == key);
        self.own(stage).into_iter().filter(over).collect()
    }

    /// Returns the stage's parameters at a point, with the value of every expression in its place.
    pub(super) fn table(&self, stage: usize, point: Point<'_>, found: &mut Diagnostics) -> DeTable<'t> {
        let Some(def) = &self.patched.stages[stage] else { return DeTable::new() };
        let mut table = def.params.clone();
        for axis in self.own(stage) {
            self.set(&mut table, axis, point);
        }
        // The variant has precedence where it sets a part of a value that an axis sets as a whole.
        for patch in self.patched.variant.iter().flat_map(|variant| &variant.set) {
            if patch.stage == *def.name.get_ref() {
                document::set(&mut table, &patch.path, patch.span.clone(), patch.value.clone());
            }
        }
        self.replace(stage, &mut table, point, found, 0);
        table
    }

    fn set(&self, table: &mut DeTable<'t>, axis: usize, point: Point<'_>) {
        let axes = &self.patched.pipeline.axes[axis];
        if axes.own == Some(point(axis)) {
            return;
        }
        let value = axes.values[point(axis) as usize].clone();
        document::set(table, &axes.path, axes.key.span(), value);
    }

    fn replace(&self, stage: usize, table: &mut DeTable<'t>, point: Point<'_>, found: &mut Diagnostics, depth: usize) {
        for (path, span, expression) in pipeline::expressions(table) {
            let value = match self.value(&expression, point, depth) {
                Ok(value) => document::from_json(&value, &span, self.patched.pipeline.sources),
                Err(message) => {
                    let name = self.patched.pipeline.stages[stage].name.get_ref();
                    found.add(Diagnostic::new(span, format!("`{name}.{}`: {message}", path.join("."))));
                    None
                }
            };
            pipeline::replace(table, &path, value);
        }
    }

    fn value(&self, expression: &Expression, point: Point<'_>, depth: usize) -> Result<Value, String> {
        match expression {
            Expression::Reference(reference) => return self.referred(reference, point, depth),
            Expression::None => return Ok(Value::Null),
            _ => {}
        }
        let number = expression.value(&mut |reference| {
            let value = self.referred(reference, point, depth)?;
            let whole = value.as_number().and_then(serde_json::Number::as_i128).map(Number::Integer);
            whole.or_else(|| value.as_f64().map(Number::Float)).ok_or_else(|| {
                format!("`{}.{}` is {value}, which is not a number", reference.stage, reference.path.join("."))
            })
        })?;
        match number {
            Number::Integer(number) => {
                let fits = i128::from(i64::MIN)..=i128::from(u64::MAX);
                let whole = serde_json::Number::from_i128(number).filter(|_| fits.contains(&number));
                whole.map(Value::Number).ok_or_else(|| format!("{number} is too large for a whole number"))
            }
            Number::Float(number) => Ok(number.into()),
        }
    }

    /// Returns the value of a parameter after defaults.
    fn referred(&self, reference: &ParamRef, point: Point<'_>, depth: usize) -> Result<Value, String> {
        let name = format!("{}.{}", reference.stage, reference.path.join("."));
        let stages = &self.patched.pipeline.stages;
        let found = stages.iter().position(|stage| *stage.name.get_ref() == reference.stage);
        let stage = found.ok_or_else(|| format!("there is no stage `{}`", reference.stage))?;
        let def = self.patched.stages[stage].as_ref().ok_or_else(|| format!("this variant has no `{name}`"))?;
        // Circles were reported when the file was read.
        if depth > 64 {
            return Err(format!("`{name}` depends on itself"));
        }
        let key = reference.path.first().cloned().unwrap_or_default();
        let axes = self.axes_at(stage, &key);
        let known: Known = (stage, key.clone(), axes.iter().map(|&axis| point(axis)).collect());
        let remembered = self.known.borrow().get(&known).cloned();
        let whole = match remembered {
            Some(value) => value,
            None => {
                let mut table = DeTable::new();
                let written = def.params.iter().find(|(name, _)| name.get_ref().as_ref() == key);
                table.extend(written.map(|(key, value)| (key.clone(), value.clone())));
                for axis in self.axes_of(stage, &key) {
                    self.set(&mut table, axis, point);
                }
                // Mistakes in this table are reported with the stage that it belongs to.
                let mut ignored = Diagnostics::default();
                self.replace(stage, &mut table, point, &mut ignored, depth + 1);
                let value = pipeline::typed(&def.kind, &def.name, table, &mut ignored).params()[&key].clone();
                self.known.borrow_mut().insert(known, value.clone());
                value
            }
        };
        let value = reference.path[1..].iter().try_fold(&whole, |value, key| value.get(key));
        value.filter(|value| !value.is_null()).cloned().ok_or_else(|| format!("`{name}` has no value"))
    }

    /// Returns the axes that a parameter depends on, directly or through expressions.
    fn axes_at(&self, stage: usize, key: &str) -> Rc<[usize]> {
        let at = (stage, key.to_owned());
        if let Some(known) = self.axes.borrow().get(&at) {
            return known.clone();
        }
        let mut all: BTreeSet<usize> = self.axes_of(stage, key).into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut open = self.direct(stage, Some(key));
        while let Some((stage, key, _)) = open.pop() {
            if seen.insert((stage, key.clone())) {
                all.extend(self.axes_of(stage, &key));
                open.extend(self.direct(stage, Some(&key)));
            }
        }
        let all: Rc<[usize]> = all.into_iter().collect();
        self.axes.borrow_mut().insert(at, all.clone());
        all
    }
}
