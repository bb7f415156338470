//! What decided a result: its own parameters and those of what it depends on, whatever run made it.
//!
//! A recipe has the hashes of its inputs, and manifests say who made bytes with that hash. Several may have: then all of
//! them would have led to this result, and the one of the same run, or else the latest, stands for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::{
    digest::{ArtifactHash, StageKey},
    store::{Manifest, Recipe},
};

/// The finished work of a cache, by what it was made of.
pub struct Lineage<'a> {
    all: &'a [(StageKey, Manifest)],
    /// The name of each instance.
    names: Vec<&'a str>,
    /// The work that made each artifact.
    makers: HashMap<ArtifactHash, Vec<usize>>,
}

impl<'a> Lineage<'a> {
    /// Reads the links between finished works. `name` gives another name than that of the instance that was first to do
    /// the work.
    #[must_use]
    pub fn new(all: &'a [(StageKey, Manifest)], name: impl Fn(&StageKey) -> Option<&'a str>) -> Self {
        let mut makers: HashMap<ArtifactHash, Vec<usize>> = HashMap::new();
        for (at, (_, manifest)) in all.iter().enumerate() {
            let outputs: BTreeSet<ArtifactHash> = manifest.outputs.values().map(|output| output.hash).collect();
            outputs.into_iter().for_each(|hash| makers.entry(hash).or_default().push(at));
        }
        let named = |(key, manifest): &'a (StageKey, Manifest)| {
            name(key).unwrap_or_else(|| pipeline_and_instance(&manifest.provenance.instance).1)
        };
        Self { all, names: all.iter().map(named).collect(), makers }
    }

    /// Returns the name of an instance: the number of the work is its place in the list.
    #[must_use]
    pub fn name(&self, at: usize) -> &'a str {
        self.names[at]
    }

    /// Returns the parameters of a work and of everything that it depends on, by `stage.parameter`. Where several could
    /// have made an input, `is_near` prefers those of the same run.
    #[must_use]
    pub fn parameters(&self, at: usize, is_near: &dyn Fn(&StageKey) -> bool) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut seen = BTreeSet::from([at]);
        let mut level = vec![at];
        while !level.is_empty() {
            level.iter().for_each(|&at| self.own(at, &mut all));
            let mut above: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
            for hash in level.iter().flat_map(|&at| self.all[at].1.recipe.inputs.values()) {
                let Some(makers) = self.makers.get(hash) else { continue };
                let Some(best) = self.best(makers.iter().copied(), is_near) else { continue };
                let stage = stage_of(self.names[best]);
                let of_stage = makers.iter().copied().filter(|&maker| stage_of(self.names[maker]) == stage).collect();
                // What two inputs come from is what both can come from.
                let known = above.entry(stage).or_insert_with(|| BTreeSet::clone(&of_stage));
                let both: BTreeSet<usize> = known.intersection(&of_stage).copied().collect();
                if !both.is_empty() {
                    *known = both;
                }
            }
            let chosen = above.into_values().filter_map(|makers| self.best(makers.into_iter(), is_near));
            level = chosen.filter(|maker| seen.insert(*maker)).collect();
        }
        all
    }

    fn best(&self, makers: impl Iterator<Item = usize>, is_near: &dyn Fn(&StageKey) -> bool) -> Option<usize> {
        makers.max_by_key(|&at| (is_near(&self.all[at].0), &self.all[at].1.provenance.finished))
    }

    /// Adds what a recipe says; a nearer instance of the same stage was there first.
    fn own(&self, at: usize, all: &mut BTreeMap<String, Value>) {
        let stage = stage_of(self.names[at]);
        let Recipe { kind, version, params, program, sources, .. } = &self.all[at].1.recipe;
        let mut own = BTreeMap::from([
            (format!("{stage}.kind"), Value::from(kind.as_str())),
            (format!("{stage}.version"), Value::from(*version)),
        ]);
        flatten(stage, params, &mut own);
        if let Some(program) = program {
            flatten(&format!("{stage}.program"), program, &mut own);
        }
        for (param, hash) in sources {
            own.insert(format!("{stage}.{param}"), Value::from(hash.short()));
        }
        for (name, value) in own {
            all.entry(name).or_insert(value);
        }
    }
}

/// Returns the stage of an instance.
#[must_use]
pub fn stage_of(instance: &str) -> &str {
    instance.split('@').next().unwrap_or(instance)
}

/// Splits `PIPELINE/INSTANCE`, as provenance has it. Values of axes may contain slashes.
#[must_use]
pub fn pipeline_and_instance(whole: &str) -> (&str, &str) {
    let stage = &whole[..whole.find('@').unwrap_or(whole.len())];
    stage.rfind('/').map_or(("", whole), |at| (&whole[..at], &whole[at + 1..]))
}

/// Adds the parameters of a table by their paths.
pub fn flatten(prefix: &str, value: &Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{prefix}.{key}"), value, all);
            }
        }
        value => drop(all.insert(prefix.to_owned(), value.clone())),
    }
}

/// Returns the parameters in which some results differ, by name. A result in which a stage has no part does not differ in
/// its parameters, and one that leaves out a parameter which has no effect there differs in it only if nothing else tells it
/// apart.
#[must_use]
pub fn differing<'p>(all: &[&'p BTreeMap<String, Value>]) -> Vec<&'p str> {
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for parameters in all {
        for (name, value) in *parameters {
            values.entry(name).or_default().insert(value.to_string());
            *count.entry(name).or_default() += 1;
        }
        let stages: BTreeSet<&str> = parameters.keys().map(|name| stage_of_parameter(name)).collect();
        stages.into_iter().for_each(|stage| *count.entry(stage).or_default() += 1);
    }
    let varied: BTreeSet<&str> = values.iter().filter(|(_, values)| values.len() > 1).map(|(name, _)| *name).collect();
    let mut told = BTreeSet::new();
    let tells_apart = all.iter().all(|parameters| {
        let stages: BTreeSet<&str> = parameters.keys().map(|name| stage_of_parameter(name)).collect();
        let values: Vec<Option<String>> =
            varied.iter().map(|name| parameters.get(*name).map(Value::to_string)).collect();
        told.insert((stages, values))
    });
    let is_left_out = |name: &str| count[name] < count[stage_of_parameter(name)];
    let names = values.into_keys();
    names.filter(|name| varied.contains(name) || (!tells_apart && is_left_out(name))).collect()
}

fn stage_of_parameter(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_taken_apart_at_the_right_slash() {
        assert_eq!(pipeline_and_instance("p/knn"), ("p", "knn"));
        assert_eq!(pipeline_and_instance("a/b/images@images.path=x/y"), ("a/b", "images@images.path=x/y"));
        assert_eq!(stage_of("images@images.path=x@y"), "images");
    }

    #[test]
    fn only_what_differs_where_a_stage_has_a_part_is_a_column() {
        let map = |value: Value| match value {
            Value::Object(fields) => fields.into_iter().collect::<BTreeMap<_, _>>(),
            _ => BTreeMap::new(),
        };
        let a = map(json!({"net.lr": 0.1, "net.steps": 2, "images.size": 8}));
        let b = map(json!({"net.lr": 0.2, "net.steps": 2, "net.decay": 1, "images.size": 8}));
        let c = map(json!({"images.size": 8}));
        assert_eq!(differing(&[&a, &b, &c]), ["net.lr"]);
        assert_eq!(differing(&[&a, &c]), [""; 0]);
        let d = map(json!({"net.lr": 0.1, "net.steps": 2, "net.decay": 1, "images.size": 8}));
        assert_eq!(differing(&[&a, &d]), ["net.decay"]);
    }
}
