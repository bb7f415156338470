//! The JSON schema of pipeline files, for editors, made from the registry.

use serde_json::{Map, Value, json};

use crate::stage::{Form, Port, Registry, StageKind};

/// The JSON schema of a pipeline file with these kinds of stages.
#[must_use]
pub fn schema(registry: &Registry) -> Value {
    let mut kinds: Vec<Value> = registry.kinds().map(stage).collect();
    let names: Vec<&str> = registry.kinds().map(|kind| kind.name).collect();
    kinds.push(json!({
        "type": "object", "title": "a kind of the project", "required": ["kind"],
        "properties": {"kind": {"type": "string", "not": {"enum": names}}}
    }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "strata pipeline",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "pipeline": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "description": "The name of the pipeline; by default that of the file."},
                    "seed": {"type": "integer", "minimum": 0,
                        "description": "The default `seed` of every stage that has one."},
                    "include": {"type": "array", "items": {"type": "string"},
                        "description": "Files that hold `[kind.NAME]`; paths start at the project root."}
                }
            },
            "kind": programs(),
            "stage": {
                "type": "object",
                "description": "The stages by name: `[stage.NAME]`.",
                "additionalProperties": {"oneOf": kinds}
            },
            "sweep": sweeps(),
            "variant": variants(),
            "loop": loops()
        }
    })
}

/// Programs that are kinds of stages.
fn programs() -> Value {
    let ports = |about: &str| {
        let forms: Vec<String> = Form::ALL.iter().flat_map(|form| [form.to_string(), format!("{form}?")]).collect();
        json!({"type": "object", "description": about, "additionalProperties": {"enum": forms}})
    };
    let texts = |about: &str| json!({"type": "array", "items": {"type": "string"}, "description": about});
    let param = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "default": {"description": "The value of stages that set none."},
            "type": {"enum": ["boolean", "integer", "float", "string", "list"], "description": "By default that of `default`."},
            "doc": {"type": "string"}, "min": {"type": "number"}, "max": {"type": "number"},
            "choices": {"type": "array", "minItems": 1, "description": "The only values that it may have."}
        }
    });
    json!({
        "type": "object",
        "description": "Programs as kinds of stages: `[kind.NAME]`.",
        "additionalProperties": {
            "type": "object", "additionalProperties": false, "required": ["run"],
            "properties": {
                "doc": {"type": "string", "description": "What it does, in a line."},
                "run": {"type": ["string", "array"], "items": {"type": "string"},
                    "description": "The program and its arguments; no shell. Placeholders: {inputs.PORT}, {outputs.PORT}, \
                        {params.NAME}, {threads}, {state}, {request}."},
                "files": texts("Files and patterns whose content is in the key; by default the words of `run` that are \
                    files of the project."),
                "version": {"type": "integer", "minimum": 0, "default": 1,
                    "description": "Raised to run everything of this kind again."},
                "inputs": ports("Input ports: `name = \"form\"`, or `\"form?\"` if it may be left out."),
                "outputs": ports("Output ports: `name = \"form\"`."),
                "params": {"type": "object", "description": "Parameters: `name = default`, or a table that says more.",
                    "additionalProperties": {"anyOf": [{"type": ["boolean", "number", "string", "array"]}, param]}},
                "metrics": {"type": "object", "additionalProperties": {"enum": ["higher", "lower"]},
                    "description": "Metrics that it reports, and which values are better."},
                "extend": {"type": "string", "description": "The integer parameter by which finished work goes on."},
                "environment": texts("Variables that the program sees and whose values are in the key."),
                "timeout": {"type": "string", "description": "The longest time that it may run: \"90s\", \"2h\"."}
            }
        }
    })
}

/// A table of the plain sweep: axes, reserved keys, and named sweeps that are made of the same.
fn sweeps() -> Value {
    let mut plain = sweep();
    plain["description"] = json!("The file stands for the grid of all axes: `\"stage.param\" = [values]`.");
    let mut named = sweep();
    named["description"] = json!("A sweep that `--sweep NAME` chooses in place of the plain one.");
    plain["additionalProperties"] = named;
    plain
}

fn sweep() -> Value {
    let axis = json!({
        "type": ["array", "string", "number", "boolean"], "minItems": 1,
        "description": "Values, or a range with both ends: \"range(8, 128, *2)\", \"range(10, 50, +10)\"."
    });
    let tables = |about: &str, entry: Value| {
        json!({"type": "array", "description": about,
            "items": {"type": "object", "minProperties": 1, "additionalProperties": entry}})
    };
    json!({
        "type": "object",
        "properties": {
            "zip": tables("Groups of axes that advance together; each is crossed with the other axes.", axis.clone()),
            "points": tables("Points beside the grid; each gives every axis one value.", json!({})),
            "seeds": {"type": ["integer", "array"], "minimum": 1, "items": {"type": "integer"},
                "description": "Repeats of every point: how many seeds, or which."},
            "method": {"enum": ["grid", "random", "halving"],
                "description": "Which points are run: all, `budget` random ones, or the best of those further and further."},
            "budget": {"type": "integer", "minimum": 1, "description": "Points that a search tries (halving: at first)."},
            "over": {"type": "string", "description": "Halving: the parameter that rises, `simclr.epochs`."},
            "factor": {"type": "integer", "minimum": 2, "default": 3,
                "description": "Halving: one point in so many goes on, with so many times the epochs."},
            "start": {"type": "integer", "minimum": 1, "default": 1, "description": "Halving: the least epochs of a rung."},
            "score": {"type": "string", "description": "Halving: what decides, `STAGE.METRIC`."},
            "goal": {"enum": ["maximize", "minimize"], "default": "maximize", "description": "Halving: which score is better."},
            "vary": {"type": "array", "items": {"type": "string"},
                "description": "Stages that have another seed in each repeat; by default all that `share` does not name."},
            "share": {"type": "array", "items": {"type": "string"}, "description": "Stages that keep their seed."},
            "exclude": tables("Points of the grid that are left out: those with all these values (or one of a list).",
                json!({}))
        },
        "patternProperties": {r"\.": axis},
        "additionalProperties": false
    })
}

fn variants() -> Value {
    json!({
        "type": "object",
        "description": "Rows beside the graph as it is, each the whole graph with some changes: `[variant.NAME]`.",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "set": {"type": "object", "description": "Parameters with other values: `\"stage.param\" = value`."},
                "rewire": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Inputs joined to other outputs: `\"stage.port\" = \"other.port\"`."},
                "drop": {"type": "array", "items": {"type": "string"}, "description": "Stages that it is without."}
            }
        }
    })
}

fn loops() -> Value {
    json!({
        "type": "object",
        "description": "Stages that run several times, each round with what the round before made: `[loop.NAME]`.",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "required": ["body", "carry"],
            "properties": {
                "times": {"type": "integer", "minimum": 1, "default": 1, "description": "The number of rounds."},
                "body": {"type": "array", "minItems": 1, "items": {"type": "string"},
                    "description": "The stages of a round."},
                "carry": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"},
                    "description": "Inputs in the body, and the outputs in it that they take from the round before."}
            }
        }
    })
}

/// Lets every parameter be an expression too: a text that starts with `=`.
fn allow_expressions(properties: &mut Map<String, Value>) {
    let expression = || json!({"type": "string", "pattern": r"^\s*="});
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if let Some(inner) = property.get_mut("properties").and_then(Value::as_object_mut) {
            allow_expressions(inner);
        }
        if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|key| property.get(*key)?.as_array().map(|_| *key)) {
            let choices = property.get_mut(choices).and_then(Value::as_array_mut);
            choices.into_iter().for_each(|choices| {
                for inner in choices.iter_mut().filter_map(|choice| choice.get_mut("properties")?.as_object_mut()) {
                    allow_expressions(inner);
                }
                choices.push(expression());
            });
            continue;
        }
        if let Some(names) = property.remove("enum") {
            property.remove("type");
            property.insert("anyOf".into(), json!([{"enum": names}, expression()]));
            continue;
        }
        let types = match property.get("type") {
            Some(Value::String(one)) => vec![json!(one)],
            Some(Value::Array(types)) => types.clone(),
            _ => continue,
        };
        if !types.contains(&json!("string")) {
            property.insert("type".into(), types.into_iter().chain([json!("string")]).collect());
            property.insert("pattern".into(), json!(r"^\s*="));
        }
    }
}

/// The schema of `[stage.NAME]` for one kind: its parameters and the reserved keys.
fn stage(kind: &StageKind) -> Value {
    let mut schema = inlined(&kind.schema().to_value());
    let about = schema.get("description").cloned().unwrap_or_default();
    let ports: Map<String, Value> = kind.inputs.iter().map(|port| (port.name.to_owned(), input(port))).collect();
    let required: Vec<&str> = kind.inputs.iter().filter(|port| !port.optional).map(|port| port.name).collect();
    let outputs: Vec<String> = kind.outputs.iter().map(|port| format!("`{}` ({})", port.name, port.about)).collect();
    let mut properties = schema["properties"].as_object_mut().map(std::mem::take).unwrap_or_default();
    allow_expressions(&mut properties);
    let mut all = Map::new();
    all.insert("kind".into(), json!({"const": kind.name, "description": about}));
    all.insert(
        "inputs".into(),
        json!({
            "type": "object", "additionalProperties": false, "properties": ports, "required": required,
            "description": format!("Outputs of this kind: {}.", outputs.join(", ")),
        }),
    );
    all.insert(
        "retries".into(),
        json!({"type": "integer", "minimum": 0, "default": 0,
        "description": "How often a failed run of the stage is tried again."}),
    );
    all.insert(
        "needs".into(),
        json!({"type": "object", "additionalProperties": false,
        "description": "What of the machine the stage takes while it runs; changes no result.",
        "properties": {
            "threads": {"type": "integer", "minimum": 1, "description": "Threads; by default those of a job."},
            "memory": {"type": "string", "description": "Memory, like \"2GiB\"; counts against `--memory`."},
            "gpu": {"type": "integer", "minimum": 0, "description": "GPUs, where the run has any."}
        }}),
    );
    all.extend(properties);
    let required = if required.is_empty() { json!(["kind"]) } else { json!(["kind", "inputs"]) };
    json!({"type": "object", "title": kind.name, "additionalProperties": false, "properties": all, "required": required})
}

fn input(port: &Port) -> Value {
    json!({"type": "string", "pattern": r"^[^.]+\.[^.]+$", "description": format!("{}: `STAGE.PORT`", port.about)})
}

/// The schema with every `$ref` into its own `$defs` replaced by what it names, so that schemas can be nested.
fn inlined(root: &Value) -> Value {
    fn walk(value: &Value, root: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let target = map.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(&name[1..]));
                let mut merged = match target.map(|target| walk(target, root)) {
                    Some(Value::Object(target)) => target,
                    _ => Map::new(),
                };
                for (key, value) in map {
                    if !matches!(key.as_str(), "$ref" | "$defs" | "$schema") {
                        merged.insert(key.clone(), walk(value, root));
                    }
                }
                Value::Object(merged)
            }
            Value::Array(items) => items.iter().map(|item| walk(item, root)).collect(),
            other => other.clone(),
        }
    }
    walk(root, root)
}
