//! Random sweep files: what they mean, and one of many ways to write them.

use std::collections::BTreeMap;

use super::model::{Entry, File, Key, Number, Set, Value};

/// The splitmix64 generator: a case is found again by its number.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

pub const STAGES: [&str; 4] = ["a", "b", "c", "d"];
const PARAMS: [&str; 9] = ["rate", "count", "label", "limit", "level", "shape", "shape.width", "shape.depth", "seed"];
const WORDS: [&str; 6] = ["1", "none", "x,y", "0x1", "fair", "it's"];
const COUNTS: [i128; 7] = [1, 2, 16, 4096, 9_007_199_254_740_992, 9_007_199_254_740_993, 18_446_744_073_709_551_615];
const RATES: [i128; 8] = [1, 10, 500, 1000, 16_000, 2500, 100_000, 0];

/// A value for a parameter.
pub fn value(param: &str, random: &mut Random) -> Value {
    match param {
        "rate" | "shape.width" => Value::Number(Number::Rate(*random.pick(&RATES))),
        "count" | "shape.depth" => Value::Number(Number::Count(*random.pick(&COUNTS))),
        "seed" => Value::Number(Number::Count(*random.pick(&COUNTS[..4]))),
        "limit" if random.one_in(3) => Value::Nothing,
        "limit" => Value::Number(Number::Count(*random.pick(&COUNTS))),
        "level" if random.one_in(3) => Value::Nothing,
        "label" | "level" | "shape.form" => Value::Text((*random.pick(&WORDS)).to_owned()),
        "shape" => {
            let mut fields = BTreeMap::new();
            for field in ["width", "depth", "form"] {
                if !random.one_in(3) {
                    fields.insert(field.to_owned(), value(&format!("shape.{field}"), random));
                }
            }
            Value::Table(fields)
        }
        other => panic!("no parameter {other}"),
    }
}

fn key(random: &mut Random) -> Key {
    let stage = (*random.pick(&STAGES)).to_owned();
    // Tables and their parts come often, and not the seed.
    let param = if random.one_in(3) { random.pick(&PARAMS[5..]) } else { random.pick(&PARAMS) };
    Key { stage, param: (*param).to_owned() }
}

fn values(param: &str, count: usize, random: &mut Random) -> Vec<Value> {
    (0..count).map(|_| value(param, random)).collect()
}

/// A random file.
pub fn file(random: &mut Random) -> File {
    let mut file = File::default();
    for stage in STAGES {
        for param in &PARAMS[..6] {
            if random.one_in(5) {
                let key = Key { stage: stage.to_owned(), param: (*param).to_owned() };
                file.written.insert(key, value(param, random));
            }
        }
    }
    if random.one_in(12) {
        let key = Key { stage: (*random.pick(&STAGES)).to_owned(), param: "seed".to_owned() };
        file.written.insert(key, value("seed", random));
    }
    file.seed = random.one_in(3).then(|| random.pick(&COUNTS[..4]).to_owned());
    let mut free: Vec<Key> = Vec::new();
    for _ in 0..random.below(6) {
        let key = key(random);
        let touches = |other: &Key| key.holds(other) || other.holds(&key);
        if !free.contains(&key) && (!free.iter().any(touches) || random.one_in(8)) {
            free.push(key);
        }
    }
    let extra = if free.is_empty() { 0 } else { random.below(free.len().min(2) + 1) };
    let extras = free.split_off(free.len() - extra);
    let mut keys = free.clone();
    while let Some(key) = keys.pop() {
        let count = 1 + random.below(3);
        let mut group = vec![(key.clone(), values(&key.param, count, random))];
        if let Some(other) = keys.pop_if(|_| random.one_in(3)) {
            group.push((other.clone(), values(&other.param, count, random)));
        }
        file.groups.push(group);
    }
    for at in 0..[0, 0, 1, 2][random.below(4)] {
        let mut set: BTreeMap<Key, Value> = BTreeMap::new();
        for _ in 0..1 + random.below(2) {
            let key = if random.one_in(2) && !free.is_empty() { random.pick(&free).clone() } else { key(random) };
            if !set.keys().any(|other| key.holds(other) || other.holds(&key)) {
                set.insert(key.clone(), value(&key.param, random));
            }
        }
        file.variants.push((format!("v{at}"), set));
    }
    if random.one_in(4) {
        let vary: Vec<String> = STAGES.iter().filter(|_| random.one_in(2)).map(|stage| (*stage).to_owned()).collect();
        if !vary.is_empty() {
            let listed =
                random.one_in(2).then(|| (0..1 + random.below(3)).map(|_| *random.pick(&COUNTS[..5])).collect());
            file.seeds = Some((1 + random.below(3), listed, vary));
        }
    }
    for _ in 0..if file.groups.is_empty() || random.one_in(2) { random.below(3) } else { 0 } {
        let all = free.iter().chain(&extras);
        file.points.push(all.map(|key| (key.clone(), value(&key.param, random))).collect());
    }
    if file.points.is_empty() && file.groups.is_empty() {
        extras.iter().for_each(|key| file.groups.push(vec![(key.clone(), values(&key.param, 2, random))]));
    }
    let axes: Vec<(Key, Vec<Value>)> = file.groups.iter().flatten().cloned().collect();
    for _ in 0..if axes.is_empty() { 0 } else { [0, 0, 1, 2][random.below(4)] } {
        let mut entry = Entry::default();
        for _ in 0..1 + random.below(2) {
            let (key, own) = random.pick(&axes);
            let wanted = (0..1 + random.below(2)).map(|_| match random.one_in(6) {
                true => value(&key.param, random),
                false => random.pick(own).clone(),
            });
            entry.values.insert(key.clone(), wanted.collect());
        }
        if !file.variants.is_empty() && random.one_in(3) {
            entry.variants = vec![random.pick(&["base", "v0"]).to_string()];
        }
        file.exclude.push(entry);
    }
    if !file.variants.is_empty() && random.one_in(6) {
        file.exclude.push(Entry { values: BTreeMap::new(), variants: vec!["base".to_owned()] });
    }
    if !file.variants.is_empty() && random.one_in(3) {
        file.chosen = Some((*random.pick(&["base", "v0", "base,v0", "none"])).to_owned());
    }
    file.wanted_seeds = random.one_in(8).then(|| 1 + random.below(3));
    for _ in 0..[0, 0, 1, 2, 3][random.below(5)] {
        let near: Vec<&Key> = free.iter().chain(&extras).collect();
        let mut of = if near.is_empty() || random.one_in(3) { key(random) } else { (*random.pick(&near)).clone() };
        if of.param.starts_with("shape") && random.one_in(2) {
            of.param = (*random.pick(&PARAMS[5..8])).to_owned();
        }
        let count = *random.pick(&[1, 1, 1, 2, 3]);
        file.sets.push(Set { values: values(&of.param, count, random), key: of });
    }
    file
}

/// A number in one of its notations.
pub fn number(number: Number, random: &mut Random) -> String {
    let grouped = |digits: String| if digits.len() > 3 { format!("{}_{}", &digits[..1], &digits[1..]) } else { digits };
    let whole = |n: i128, random: &mut Random| match random.below(6) {
        0 => format!("{n:#x}"),
        1 => format!("{n:#o}"),
        2 => format!("{n:#b}"),
        3 => format!("+{n}"),
        4 => grouped(n.to_string()),
        _ => n.to_string(),
    };
    match number {
        Number::Count(n) => whole(n, random),
        Number::Rate(n) if n % 1000 == 0 && random.one_in(2) => whole(n / 1000, random),
        Number::Rate(n) => match random.below(5) {
            0 => format!("{n}e-3"),
            1 => format!("+{n}.0E-3"),
            2 => format!("{}.{:03}", n / 1000, n % 1000),
            3 => format!("{}.{:03}_0", n / 1000, n % 1000),
            _ => format!("{:?}", n as f64 / 1000.0),
        },
    }
}

/// A value as it stands in the file; of a text parameter, `none` is text there.
pub fn written(param: &str, value: &Value, random: &mut Random) -> String {
    match value {
        Value::Number(of) => number(*of, random),
        Value::Text(text) if text.contains('\'') || random.one_in(2) => format!("{text:?}"),
        Value::Text(text) => format!("'{text}'"),
        Value::Nothing if param == "level" || random.one_in(2) => "'= none'".to_owned(),
        Value::Nothing => "\"none\"".to_owned(),
        Value::Table(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{key} = {}", written(&format!("{param}.{key}"), value, random)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// A value behind `-S`.
fn set(param: &str, value: &Value, random: &mut Random) -> String {
    match value {
        Value::Nothing => "none".to_owned(),
        Value::Text(text) if text == "fair" && random.one_in(2) => text.clone(),
        value => written(param, value, random),
    }
}

fn list(key: &Key, values: &[Value], random: &mut Random) -> String {
    let values: Vec<String> = values.iter().map(|value| written(&key.param, value, random)).collect();
    format!("[{}]", values.join(", "))
}

/// The texts of a file: the pipeline, then each argument.
pub fn texts(file: &File, random: &mut Random) -> Vec<String> {
    let mut text = file.seed.map_or_else(String::new, |seed| format!("[pipeline]\nseed = {seed}\n"));
    for (stage, from) in [("a", ""), ("b", "a"), ("c", "b"), ("d", "a")] {
        text.push_str(&format!("[stage.{stage}]\nkind = \"knob\"\n"));
        if !from.is_empty() {
            text.push_str(&format!("inputs = {{ in = \"{from}.out\" }}\n"));
        }
        for (key, value) in file.written.iter().filter(|(key, _)| key.stage == stage) {
            // A stage says nothing of a parameter that it leaves out, or that it is none.
            if *value != Value::Nothing {
                text.push_str(&format!("{} = {}\n", key.param, written(&key.param, value, random)));
            } else if random.one_in(2) {
                text.push_str(&format!("{} = '= none'\n", key.param));
            }
        }
    }
    for (name, patches) in &file.variants {
        let mut patch = |(key, value): (&Key, &Value)| format!("\"{key}\" = {}", written(&key.param, value, random));
        let patches: Vec<String> = patches.iter().map(&mut patch).collect();
        text.push_str(&format!("[variant.{name}]\nset = {{ {} }}\n", patches.join(", ")));
    }
    text.push_str("[sweep]\n");
    let mut zips = Vec::new();
    for group in &file.groups {
        let mut axis = |(key, values): &(Key, Vec<Value>)| format!("\"{key}\" = {}", list(key, values, random));
        let axes: Vec<String> = group.iter().map(&mut axis).collect();
        match &axes[..] {
            [axis] => text.push_str(&format!("{axis}\n")),
            axes => zips.push(format!("{{ {} }}", axes.join(", "))),
        }
    }
    let mut tables = |name: &str, tables: Vec<String>| {
        if !tables.is_empty() {
            text.push_str(&format!("{name} = [{}]\n", tables.join(", ")));
        }
    };
    tables("zip", zips);
    let mut point = |point: &BTreeMap<Key, Value>| {
        let one = |(key, value): (&Key, &Value)| format!("\"{key}\" = {}", written(&key.param, value, random));
        format!("{{ {} }}", point.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    tables("points", file.points.iter().map(&mut point).collect());
    let mut entry = |entry: &Entry| {
        let one = |(key, values): (&Key, &Vec<Value>)| format!("\"{key}\" = {}", list(key, values, random));
        let variants = entry.variants.iter().map(|name| format!("variant = \"{name}\""));
        let mut all: Vec<String> = entry.values.iter().map(one).collect();
        all.extend(variants);
        format!("{{ {} }}", all.join(", "))
    };
    tables("exclude", file.exclude.iter().map(&mut entry).collect());
    if let Some((count, listed, vary)) = &file.seeds {
        let seeds = listed.as_ref().map_or_else(|| count.to_string(), |listed| format!("{listed:?}"));
        text.push_str(&format!("seeds = {seeds}\nvary = {vary:?}\n"));
    }
    let mut texts = vec![text];
    for Set { key, values } in &file.sets {
        let values: Vec<String> = values.iter().map(|value| set(&key.param, value, random)).collect();
        texts.push(format!("{key}={}", values.join(",")));
    }
    texts.extend(file.chosen.iter().map(|chosen| format!("--variant={chosen}")));
    texts.extend(file.wanted_seeds.iter().map(|count| format!("--seeds={count}")));
    texts
}
