//! What a sweep file means, by brute force: every point is written out, and nothing of the library is used.
//!
//! - The grid is the product of its groups (the axes of a group advance together) with what stands beside it: variants,
//!   seeds, axes of the command line. `exclude` takes points out of it.
//! - Explicit points stand beside the grid, whatever is excluded. An axis that only they have leaves the grid alone.
//! - One value behind `-S` takes the place of an axis; several take the place of its values, or make an axis. A part of a
//!   table is set in every value of an axis over the table; a table takes the place of an axis over one of its parts.
//! - A variant has the last word, and an axis over what it sets does not vary there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{
    draw::STAGES,
    stages::{merged, own},
};

/// A number, by what it is worth: a rate in thousandths, or a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    Rate(i128),
    Count(i128),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Number(Number),
    Text(String),
    Nothing,
    Table(BTreeMap<String, Value>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub stage: String,
    pub param: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.stage, self.param)
    }
}

impl Key {
    /// True if the other key is a part of what this one names.
    pub fn holds(&self, other: &Self) -> bool {
        self.stage == other.stage && self.field_of(other).is_some()
    }

    /// The field of this table that the other key is.
    fn field_of<'a>(&self, other: &'a Self) -> Option<&'a str> {
        other.param.strip_prefix(&self.param)?.strip_prefix('.')
    }

    fn same_table(&self, other: &Self) -> bool {
        let top = |key: &Self| key.param.split('.').next().unwrap_or_default().to_owned();
        self != other && self.stage == other.stage && top(self) == top(other)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub values: BTreeMap<Key, Vec<Value>>,
    pub variants: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Set {
    pub key: Key,
    pub values: Vec<Value>,
}

/// A sweep file with its command line.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub seed: Option<i128>,
    pub written: BTreeMap<Key, Value>,
    pub groups: Vec<Vec<(Key, Vec<Value>)>>,
    pub points: Vec<BTreeMap<Key, Value>>,
    pub exclude: Vec<Entry>,
    pub variants: Vec<(String, BTreeMap<Key, Value>)>,
    /// How many, which, and of which stages.
    pub seeds: Option<(usize, Option<Vec<i128>>, Vec<String>)>,
    pub sets: Vec<Set>,
    pub chosen: Option<String>,
    pub wanted_seeds: Option<usize>,
}

/// What an axis says at a point: a value, or that the parameter stays as the stage has it.
pub type Choice = Option<Value>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub variant: usize,
    pub seed: Option<i128>,
    pub axes: BTreeMap<Key, Choice>,
}

/// Refuses the file if the condition does not hold.
fn must(condition: bool, why: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(why.to_owned()) }
}

/// The instances: stage and the parameters of it and of all above it, once for each instance. An error says why the
/// file is a mistake.
pub fn instances(file: &File) -> Result<Vec<(String, Json)>, String> {
    let mut file = file.clone();
    let mut fixed: Vec<(Key, Value)> = Vec::new();
    let mut several: Vec<(Key, Vec<Value>)> = Vec::new();
    for Set { key, values } in &file.sets {
        several.retain(|(old, _)| old != key);
        fixed.retain(|(old, _)| old != key);
        if let [value] = &values[..] {
            // A part that the new table has too is given anew.
            fixed.retain(|(old, _)| key.field_of(old).is_none_or(|field| !key.holds(old) || !has(value, field)));
            fixed.push((key.clone(), value.clone()));
        } else {
            several.push((key.clone(), values.clone()));
        }
    }

    // Seeds.
    let repeats = repeats(&file, &fixed, &several)?;

    // Parts and tables of the command line.
    let mut taken: Vec<(Key, Value)> = Vec::new();
    for (set, value) in &fixed {
        let in_file = |key: &Key| !fixed.iter().any(|(fixed, _)| fixed == key);
        for (key, _) in &several {
            let twice = set.holds(key) && set.field_of(key).is_some_and(|field| has(value, field));
            must(!twice, "several values of what a table has")?;
        }
        let keys = file.groups.iter().flatten().map(|(key, _)| key);
        let keys = keys.chain(file.points.iter().flat_map(BTreeMap::keys));
        for key in keys.filter(|key| set.holds(key) && in_file(key)) {
            if let (Some(field), Value::Table(fields)) = (set.field_of(key), value) {
                taken.extend(fields.get(field).map(|value| (key.clone(), value.clone())));
            }
        }
        let put = |key: &Key, to: &mut Value| {
            if let (true, Some(field), Value::Table(fields)) = (key.holds(set), key.field_of(set), to) {
                fields.insert(field.to_owned(), value.clone());
            }
        };
        let of_groups = file.groups.iter_mut().flatten().chain(&mut several);
        of_groups.for_each(|(key, values)| values.iter_mut().for_each(|value| put(key, value)));
        file.points.iter_mut().flatten().for_each(|(key, value)| put(key, value));
        for (key, values) in file.exclude.iter_mut().flat_map(|entry| &mut entry.values) {
            values.iter_mut().for_each(|value| put(key, value));
        }
    }
    fixed.extend(taken);
    let is_fixed = |key: &Key| fixed.iter().any(|(fixed, _)| fixed == key);
    let of_command_line = |key: &Key| is_fixed(key) || several.iter().any(|(several, _)| several == key);

    // Variants.
    let mut variants: Vec<(String, BTreeMap<Key, Value>)> = vec![("base".to_owned(), BTreeMap::new())];
    let is_without = file.variants.is_empty() || file.chosen.as_deref() == Some("none");
    variants.extend(file.variants.iter().filter(|_| !is_without).cloned());
    let chosen: Vec<usize> = match file.chosen.as_deref().filter(|_| !is_without) {
        Some(chosen) => chosen.split(',').map(|name| variants.iter().position(|(v, _)| v == name).unwrap()).collect(),
        None => (0..variants.len()).collect(),
    };
    for key in fixed.iter().map(|(key, _)| key).chain(several.iter().map(|(key, _)| key)) {
        let sets = |variant: &usize| variants[*variant].1.keys().any(|patch| patch == key || patch.holds(key));
        must(!chosen.iter().all(sets), "every variant sets what the command line does")?;
    }

    // The grid.
    let mut groups: Vec<Vec<(Key, Vec<Value>)>> = Vec::new();
    let mut beside = several.clone();
    for group in &file.groups {
        let mut left: Vec<_> = group.iter().filter(|(key, _)| !is_fixed(key)).cloned().collect();
        if left.len() == 1 && of_command_line(&left[0].0) {
            continue;
        }
        for (key, values) in &mut left {
            if let Some(at) = beside.iter().position(|(other, _)| other == key) {
                *values = beside.remove(at).1;
            }
        }
        must(left.windows(2).all(|two| two[0].1.len() == two[1].1.len()), "zipped axes of unequal lengths")?;
        groups.push(left);
    }
    let groups: Vec<_> = groups.into_iter().filter(|group| !group.is_empty()).collect();
    let in_points = || file.points.iter().flat_map(BTreeMap::keys).filter(|key| !of_command_line(key));
    let in_grid: BTreeSet<&Key> = groups.iter().flatten().map(|(key, _)| key).collect();
    let all: BTreeSet<&Key> =
        in_grid.iter().copied().chain(in_points()).chain(several.iter().map(|(key, _)| key)).collect();
    must(!all.iter().any(|one| all.iter().any(|other| one.holds(other))), "axes overlap")?;

    let outside = |variant: usize, seed: Option<i128>| Point { variant, seed, axes: BTreeMap::new() };
    let seeds: Vec<Option<i128>> = match &repeats {
        Some((seeds, _)) => seeds.iter().copied().map(Some).collect(),
        None => vec![None],
    };
    let worlds: Vec<Point> =
        chosen.iter().flat_map(|&variant| seeds.iter().map(move |&seed| outside(variant, seed))).collect();
    let has_grid = !file.groups.is_empty() || file.points.is_empty();
    let mut grid = worlds.clone();
    for group in groups.iter().cloned().chain(beside.iter().map(|axis| vec![axis.clone()])) {
        grid = grid
            .iter()
            .flat_map(|point| {
                (0..group[0].1.len()).map(|row| {
                    let mut point = point.clone();
                    point.axes.extend(group.iter().map(|(key, values)| (key.clone(), Some(values[row].clone()))));
                    point
                })
            })
            .collect();
    }
    for Entry { values, variants: named } in &file.exclude {
        let known = |key: &Key| is_fixed(key) || in_grid.contains(key) || several.iter().any(|(other, _)| other == key);
        let fits = |key: &Key, wanted: &Vec<Value>| match fixed.iter().find(|(fixed, _)| fixed == key) {
            Some((_, value)) => wanted.contains(value),
            None => true,
        };
        // In the order of the names, as one that does not fit ends the entry.
        let passes = values.iter().all(|(key, wanted)| fits(key, wanted));
        if !passes || (is_without && named.iter().any(|name| name != "base")) {
            continue;
        }
        must(values.keys().all(known), "excluded axes are there")?;
        let changed = values.keys().any(of_command_line) || (file.chosen.is_some() && !named.is_empty());
        if !has_grid {
            must(changed, "a grid to exclude from")?;
            continue;
        }
        let named_variants = named.iter().filter(|_| !is_without).count();
        if values.keys().all(is_fixed) && named_variants == 0 {
            continue;
        }
        let hit = |point: &Point| {
            let value = |(key, wanted): (&Key, &Vec<Value>)| {
                is_fixed(key) || matches!(point.axes.get(key), Some(Some(value)) if wanted.contains(value))
            };
            (is_without || named.is_empty() || named.contains(&variants[point.variant].0)) && values.iter().all(value)
        };
        let before = grid.len();
        grid.retain(|point| !hit(point));
        must(changed || grid.len() < before, "what is excluded is there")?;
        must(!grid.is_empty(), "something is left")?;
    }

    // The points.
    if !has_grid {
        grid.clear();
    }
    let extras: BTreeSet<&Key> = in_points().filter(|key| !in_grid.contains(key)).collect();
    for key in extras {
        let moves = all.iter().any(|other| key.same_table(other))
            || variants.iter().flat_map(|(_, patches)| patches.keys()).any(|other| key.same_table(other));
        let own = (!moves).then(|| own(&file, &fixed, key));
        grid.iter_mut().for_each(|point| drop(point.axes.insert(key.clone(), own.clone())));
    }
    let mut points: BTreeSet<Point> = grid.into_iter().collect();
    for explicit in &file.points {
        let mut these = worlds.clone();
        for (key, values) in &several {
            these = these
                .iter()
                .flat_map(|point| {
                    values.iter().map(|value| {
                        let mut point = point.clone();
                        point.axes.insert(key.clone(), Some(value.clone()));
                        point
                    })
                })
                .collect();
        }
        for point in &mut these {
            let own = explicit.iter().filter(|(key, _)| !of_command_line(key));
            point.axes.extend(own.map(|(key, value)| (key.clone(), Some(value.clone()))));
        }
        points.extend(these);
    }
    let tied = repeats.map(|(_, stages)| stages).unwrap_or_default();
    Ok(merged(&file, &fixed, &variants, &tied, &points))
}

/// Seeds, and the stages that have them.
type Repeats = (Vec<i128>, Vec<String>);

/// The seeds that the file or the command line asks for.
fn repeats(file: &File, fixed: &[(Key, Value)], several: &[(Key, Vec<Value>)]) -> Result<Option<Repeats>, String> {
    let sourceless = || STAGES[1..].iter().map(|stage| (*stage).to_owned()).collect();
    let (count, listed, vary) = match (&file.seeds, file.wanted_seeds) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(_)) => (1, None, sourceless()),
        (None, None) => return Ok(None),
    };
    let keys = file.groups.iter().flatten().map(|(key, _)| key);
    let keys = keys.chain(file.points.iter().flat_map(BTreeMap::keys));
    let keys = keys.chain(several.iter().map(|(key, _)| key)).chain(fixed.iter().map(|(key, _)| key));
    let keys = keys.chain(file.written.keys()).chain(file.variants.iter().flat_map(|(_, patches)| patches.keys()));
    let mut seeds = keys.filter(|key| key.param == "seed");
    must(!seeds.any(|key| vary.contains(&key.stage)), "one source of a seed")?;
    let mut seeds: Vec<i128> = Vec::new();
    let count = file
        .wanted_seeds
        .unwrap_or(listed.as_ref().map_or(count, |listed| listed.iter().collect::<BTreeSet<_>>().len()));
    for seed in listed.iter().flatten() {
        if !seeds.contains(seed) {
            seeds.push(*seed);
        }
    }
    seeds.truncate(count);
    let all = listed.iter().flatten().max();
    let mut next = all.map_or(file.seed.unwrap_or(0), |last| last + 1);
    while seeds.len() < count {
        seeds.push(next);
        next += 1;
    }
    Ok(Some((seeds, STAGES.iter().filter(|stage| vary.iter().any(|v| v == *stage)).map(|s| (*s).to_owned()).collect())))
}

fn has(value: &Value, field: &str) -> bool {
    matches!(value, Value::Table(fields) if fields.contains_key(field))
}
