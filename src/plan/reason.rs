//! The reasons why an instance must run.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::store::{Damage, Recipe};

/// One reason to run. `Display` formats it for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// It never ran in this cache.
    New,
    /// The user asked to run it again (`--force`).
    Forced,
    /// The version of its kind's code changed.
    Version {
        /// The version of the last run.
        old: u32,
        /// The version now.
        new: u32,
    },
    /// The value of a parameter changed.
    Param {
        /// The parameter, a key path.
        path: String,
        /// Its value in the last run; null if it was not there.
        old: Value,
        /// Its value now; null if it no longer exists.
        new: Value,
    },
    /// The content at an input port changed.
    Input {
        /// The port.
        port: String,
        /// The hash in the last run, if the port was joined.
        old: Option<String>,
        /// The hash now, if the port is joined.
        new: Option<String>,
    },
    /// The content of the files at a path changed.
    Source {
        /// The parameter that names them.
        param: String,
    },
    /// It ran, but an object of its results is missing.
    Missing {
        /// The output port.
        port: String,
    },
    /// It ran, but an object of its results was evicted, and something that must run needs it.
    Evicted {
        /// The output port.
        port: String,
    },
    /// It ran, but the bytes of an object of its results changed since they were written.
    Corrupt {
        /// The output port.
        port: String,
    },
    /// The source files cannot be read, so running it will fail.
    Unreadable {
        /// The system's error message.
        message: String,
    },
    /// In the run that is looked at, it has no result.
    NotInRun,
    /// The result of the run that is looked at was deleted from the cache.
    Deleted,
    /// A dependency must run first (in a plan).
    Waiting {
        /// The instances that it waits for.
        on: Vec<String>,
    },
    /// Another instance does the same work (in a plan).
    SameAs {
        /// The other instance.
        instance: String,
    },
}

impl Reason {
    /// Returns the reason for damage at an output port.
    #[must_use]
    pub fn damaged(port: String, damage: Damage) -> Self {
        match damage {
            Damage::Missing => Self::Missing { port },
            Damage::Corrupt => Self::Corrupt { port },
        }
    }

    /// Returns every difference between two recipes. The key is a hash of the same recipe, so the reasons agree with
    /// it.
    #[must_use]
    pub fn between(old: &Recipe, new: &Recipe) -> Vec<Self> {
        let mut reasons = Vec::new();
        if old.kind != new.kind {
            let value = |recipe: &Recipe| Value::String(recipe.kind.clone());
            reasons.push(Self::Param { path: "kind".to_owned(), old: value(old), new: value(new) });
            return reasons;
        }
        if old.version != new.version {
            reasons.push(Self::Version { old: old.version, new: new.version });
        }
        let program = |recipe: &Recipe| recipe.program.clone().unwrap_or_default();
        params("program", &program(old), &program(new), &mut reasons);
        params("", &old.params, &new.params, &mut reasons);
        let names = |recipe: &Recipe| recipe.sources.keys().cloned().collect::<Vec<_>>();
        for param in union(names(old), names(new)) {
            if old.sources.get(&param) != new.sources.get(&param) {
                reasons.push(Self::Source { param });
            }
        }
        let ports = |recipe: &Recipe| recipe.inputs.keys().cloned().collect::<Vec<_>>();
        for port in union(ports(old), ports(new)) {
            let hash = |recipe: &Recipe| recipe.inputs.get(&port).map(ToString::to_string);
            if hash(old) != hash(new) {
                let (old, new) = (hash(old), hash(new));
                reasons.push(Self::Input { port, old, new });
            }
        }
        reasons
    }
}

fn union(mut one: Vec<String>, other: Vec<String>) -> Vec<String> {
    one.extend(other);
    one.sort();
    one.dedup();
    one
}

fn params(prefix: &str, old: &Value, new: &Value, reasons: &mut Vec<Reason>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for key in union(before.keys().cloned().collect(), after.keys().cloned().collect()) {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                let null = Value::Null;
                params(&path, before.get(&key).unwrap_or(&null), after.get(&key).unwrap_or(&null), reasons);
            }
        }
        _ if old == new => {}
        _ => reasons.push(Reason::Param { path: prefix.to_owned(), old: old.clone(), new: new.clone() }),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |hash: &Option<String>| hash.as_ref().map_or("nothing".to_owned(), |hash| hash[..12].to_owned());
        match self {
            Self::New => f.write_str("never ran"),
            Self::Forced => f.write_str("forced"),
            Self::Version { old, new } => write!(f, "its code changed: version {old} -> {new}"),
            Self::Param { path, old, new } => write!(f, "{path}: {old} -> {new}"),
            Self::Input { port, old, new } => write!(f, "input {port}: {} -> {}", short(old), short(new)),
            Self::Source { param } => write!(f, "the files at `{param}` changed"),
            Self::Missing { port } => write!(f, "the object of `{port}` is missing"),
            Self::Evicted { port } => write!(f, "`{port}` was evicted and is needed"),
            Self::Corrupt { port } => write!(f, "the object of `{port}` is corrupt"),
            Self::Unreadable { message } => f.write_str(message),
            Self::NotInRun => f.write_str("the run has no result of it"),
            Self::Deleted => f.write_str("its result is no longer in the cache"),
            Self::Waiting { on } => write!(f, "waits for {}", on.join(", ")),
            Self::SameAs { instance } => write!(f, "the same work as {instance}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_parameters_are_named_by_their_path() {
        let recipe = |lr: f64, extra: Value| Recipe {
            kind: "k".into(),
            version: 1,
            program: None,
            params: json!({"optimizer": {"lr": lr, "kind": "sgd"}, "extra": extra}).into(),
            inputs: [].into(),
            sources: [].into(),
        };
        let reasons = Reason::between(&recipe(0.1, json!(null)), &recipe(0.2, json!([1, 2])));
        let words: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["extra: null -> [1,2]", "optimizer.lr: 0.1 -> 0.2"]);
        assert_eq!(Reason::between(&recipe(0.1, json!(1)), &recipe(0.1, json!(1))), []);
    }
}
