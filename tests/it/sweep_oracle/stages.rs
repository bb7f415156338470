//! What the points of a sweep come to: the parameters of each stage, and which instances they make.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::{
    draw::STAGES,
    model::{Choice, File, Key, Number, Point, Value},
};

/// The stage's parameters as written, with the values of the command line.
fn base(file: &File, fixed: &[(Key, Value)], stage: &str) -> BTreeMap<String, Value> {
    let mut params = BTreeMap::new();
    let mut of_stage: Vec<(&Key, &Value)> = file
        .written
        .iter()
        .chain(fixed.iter().map(|(key, value)| (key, value)))
        .filter(|(key, _)| key.stage == stage)
        .collect();
    of_stage.sort_by_key(|(key, _)| key.param.contains('.'));
    of_stage.iter().for_each(|(key, value)| put(&mut params, &key.param, value));
    params
}

/// Sets a parameter, in its table if it is a part of one.
fn put(params: &mut BTreeMap<String, Value>, param: &str, value: &Value) {
    let Some((table, field)) = param.split_once('.') else {
        params.insert(param.to_owned(), value.clone());
        return;
    };
    match params.entry(table.to_owned()).or_insert_with(|| Value::Table(BTreeMap::new())) {
        Value::Table(fields) => drop(fields.insert(field.to_owned(), value.clone())),
        other => panic!("{other:?} is no table"),
    }
}

fn default(param: &str) -> Value {
    match param {
        "rate" => Value::Number(Number::Rate(500)),
        "count" => Value::Number(Number::Count(3)),
        "label" => Value::Text("plain".to_owned()),
        "limit" | "level" => Value::Nothing,
        "seed" => Value::Number(Number::Count(0)),
        "shape.width" => Value::Number(Number::Rate(1000)),
        "shape.depth" => Value::Number(Number::Count(2)),
        "shape.form" => Value::Text("round".to_owned()),
        "shape" => {
            let field = |name: &str| (name.to_owned(), default(&format!("shape.{name}")));
            Value::Table(["width", "depth", "form"].map(field).into_iter().collect())
        }
        other => panic!("no parameter {other}"),
    }
}

/// The value of a parameter that no axis gives.
pub fn own(file: &File, fixed: &[(Key, Value)], key: &Key) -> Value {
    let params = base(file, fixed, &key.stage);
    let found = match key.param.split_once('.') {
        None => params.get(&key.param).cloned(),
        Some((table, field)) => match params.get(table) {
            Some(Value::Table(fields)) => fields.get(field).cloned(),
            _ => None,
        },
    };
    let seed = file.seed.filter(|_| key.param == "seed").map(|seed| Value::Number(Number::Count(seed)));
    found.or(seed).unwrap_or_else(|| default(&key.param))
}

fn above(stage: &str) -> Vec<&'static str> {
    match stage {
        "a" => vec!["a"],
        "b" => vec!["a", "b"],
        "c" => vec!["a", "b", "c"],
        _ => vec!["a", "d"],
    }
}

/// What tells two instances of a stage apart: the variant, where it changes something above, and the axes that reach it.
type Apart = (Option<usize>, Option<i128>, BTreeMap<Key, Choice>);

/// The points as the instances of each stage.
pub fn merged(
    file: &File,
    fixed: &[(Key, Value)],
    variants: &[(String, BTreeMap<Key, Value>)],
    tied: &[String],
    points: &BTreeSet<Point>,
) -> Vec<(String, Json)> {
    let mut instances: BTreeMap<(&str, Apart), Json> = BTreeMap::new();
    for (point, stage) in points.iter().flat_map(|point| STAGES.iter().map(move |stage| (point, *stage))) {
        let patches = &variants[point.variant].1;
        let above = above(stage);
        let varies = |key: &Key| !patches.keys().any(|patch| patch == key || patch.holds(key));
        let changed = patches.keys().any(|patch| above.contains(&patch.stage.as_str()));
        let reaches = |key: &Key| above.contains(&key.stage.as_str()) && varies(key);
        let axes = point.axes.iter().filter(|(key, _)| reaches(key)).map(|(key, choice)| (key.clone(), choice.clone()));
        let seed = point.seed.filter(|_| above.iter().any(|stage| tied.iter().any(|tied| tied == stage)));
        let mut all = Map::new();
        for stage in &above {
            let mut params = base(file, fixed, stage);
            let of_stage = point.axes.iter().filter(|(key, _)| key.stage == *stage && varies(key));
            for (key, choice) in of_stage {
                choice.iter().for_each(|value| put(&mut params, &key.param, value));
            }
            let mut patches: Vec<_> = patches.iter().filter(|(key, _)| key.stage == *stage).collect();
            patches.sort_by_key(|(key, _)| key.param.contains('.'));
            patches.iter().for_each(|(key, value)| put(&mut params, &key.param, value));
            if let Some(seed) = point.seed.filter(|_| tied.iter().any(|tied| tied == stage)).or(file.seed) {
                params.entry("seed".to_owned()).or_insert(Value::Number(Number::Count(seed)));
            }
            all.insert((*stage).to_owned(), complete(&params));
        }
        let apart = (changed.then_some(point.variant), seed, axes.collect());
        instances.insert((stage, apart), Json::Object(all));
    }
    instances.into_iter().map(|((stage, _), params)| (stage.to_owned(), params)).collect()
}

/// Parameters after defaults, as JSON.
fn complete(params: &BTreeMap<String, Value>) -> Json {
    let mut all = Map::new();
    for param in ["rate", "count", "label", "limit", "level", "shape", "seed"] {
        let value = params.get(param).cloned().unwrap_or_else(|| default(param));
        let Value::Table(fields) = value else {
            all.insert(param.to_owned(), json_of(&value));
            continue;
        };
        let Value::Table(mut whole) = default(param) else { panic!("a table by default") };
        whole.extend(fields);
        let whole = whole.iter().map(|(field, value)| (field.clone(), json_of(value))).collect();
        all.insert(param.to_owned(), Json::Object(whole));
    }
    Json::Object(all)
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Number(Number::Rate(n)) => json!(*n as f64 / 1000.0),
        Value::Number(Number::Count(n)) => json!(u64::try_from(*n).expect("a count")),
        Value::Text(text) => json!(text),
        Value::Nothing => Json::Null,
        Value::Table(_) => panic!("tables have their own way"),
    }
}
