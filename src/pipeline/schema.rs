//! The JSON schema of pipeline files, for editors, made from the registry.

use serde_json::{Map, Value, json};

use crate::stage::{Port, Registry, StageKind};

/// The JSON schema of a pipeline file with these kinds of stages.
#[must_use]
pub fn schema(registry: &Registry) -> Value {
    let kinds: Vec<Value> = registry.kinds().map(stage).collect();
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
                        "description": "The default `seed` of every stage that has one."}
                }
            },
            "stage": {
                "type": "object",
                "description": "The stages by name: `[stage.NAME]`.",
                "additionalProperties": {"oneOf": kinds}
            },
            "sweep": {
                "type": "object",
                "description": "The axes: `\"stage.param\" = [values]`. The file stands for the whole grid.",
                "additionalProperties": {"type": "array", "minItems": 1}
            }
        }
    })
}

/// The schema of `[stage.NAME]` for one kind: its parameters and the reserved keys.
fn stage(kind: &StageKind) -> Value {
    let mut schema = inlined(&kind.schema().to_value());
    let about = schema.get("description").cloned().unwrap_or_default();
    let ports: Map<String, Value> = kind.inputs.iter().map(|port| (port.name.to_owned(), input(port))).collect();
    let required: Vec<&str> = kind.inputs.iter().filter(|port| !port.optional).map(|port| port.name).collect();
    let outputs: Vec<String> = kind.outputs.iter().map(|port| format!("`{}` ({})", port.name, port.about)).collect();
    let properties = schema["properties"].as_object_mut().map(std::mem::take).unwrap_or_default();
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
