//! The parameters of a program: their types, defaults and bounds, and values of them.

use serde::{Deserialize, de::Error as _};
use serde_json::{Map, Value, json};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::stage::Problems;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Float,
    /// Text.
    String,
    /// A list of values.
    List,
}

/// One parameter of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name, as in the pipeline file.
    pub name: &'static str,
    /// Its type.
    pub of: ParamType,
    /// Its default; `None` if every stage must give a value.
    pub default: Option<Value>,
    /// What it means.
    pub doc: String,
    /// The least value of a number.
    pub min: Option<f64>,
    /// The greatest value of a number.
    pub max: Option<f64>,
    /// The only values that it may have; empty if it may have any.
    pub choices: Vec<Value>,
}

impl ParamType {
    /// Returns the type of a value, or `None` if no parameter can have such a value.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) if number.is_f64() => Some(Self::Float),
            Value::Number(_) => Some(Self::Integer),
            Value::String(_) => Some(Self::String),
            Value::Array(_) => Some(Self::List),
            Value::Null | Value::Object(_) => None,
        }
    }

    /// Returns its name in pipeline files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::String => "string",
            Self::List => "list",
        }
    }

    /// Returns the name of the type in JSON schemas.
    fn schema(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "number",
            Self::String => "string",
            Self::List => "array",
        }
    }

    /// Reads a value of this type. An error has the place of the value.
    fn read(self, value: Spanned<DeValue<'_>>) -> Result<Value, toml::de::Error> {
        // Seeds use all 64 bits.
        let seed = value.get_ref().as_integer().and_then(|text| u64::from_str_radix(text.as_str(), text.radix()).ok());
        let from = ValueDeserializer::from(value);
        Ok(match (self, seed) {
            (Self::Integer, Some(seed)) => seed.into(),
            (Self::Integer, None) => i64::deserialize(from)?.into(),
            (Self::Boolean, _) => bool::deserialize(from)?.into(),
            // There is one zero.
            (Self::Float, _) => (f64::deserialize(from)? + 0.0).into(),
            (Self::String, _) => String::deserialize(from)?.into(),
            (Self::List, _) => Vec::<Value>::deserialize(from)?.into(),
        })
    }
}

impl Param {
    /// Adds what is wrong with a value of the right type.
    pub fn check(&self, value: &Value, problems: &mut Problems) {
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            problems.add(self.name, "must not hold a NUL character, which no program can be given");
        }
        if self.name == "seed" && value.as_u64().is_none() {
            problems.add(self.name, format!("must be a whole number from 0, got {value}"));
        }
        if let Some(number) = value.as_f64() {
            let (min, max) = (self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY));
            if self.min.is_some() || self.max.is_some() {
                problems.within(self.name, number, min, max);
            }
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let listed = self.choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            problems.add(self.name, format!("must be one of {listed}, got {value}"));
        }
    }

    /// Returns the JSON schema of its values.
    fn schema(&self) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), self.of.schema().into())]);
        let facts = [
            ("description", Some(self.doc.as_str()).filter(|doc| !doc.is_empty()).map(Value::from)),
            ("default", self.default.clone()),
            ("minimum", self.min.map(Value::from)),
            ("maximum", self.max.map(Value::from)),
            ("enum", Some(&self.choices).filter(|choices| !choices.is_empty()).cloned().map(Value::from)),
        ];
        schema.extend(facts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        schema.into()
    }
}

/// Returns the JSON schema of a table of parameters.
pub(super) fn schema(doc: &str, params: &[Param]) -> Value {
    let properties: Map<String, Value> = params.iter().map(|param| (param.name.to_owned(), param.schema())).collect();
    let required: Vec<&str> = params.iter().filter(|param| param.default.is_none()).map(|param| param.name).collect();
    json!({
        "type": "object", "description": doc, "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// Returns the default of every parameter that has one.
pub(super) fn defaults(params: &[Param]) -> Map<String, Value> {
    params.iter().filter_map(|param| Some((param.name.to_owned(), param.default.clone()?))).collect()
}

/// Reads the values in a table. What it leaves out has its default.
///
/// # Errors
/// If a value has the wrong type, with its place, or one without a default is missing.
pub(super) fn read(params: &[Param], table: Spanned<DeTable<'_>>) -> Result<Map<String, Value>, toml::de::Error> {
    let mut values = defaults(params);
    for (key, value) in table.into_inner() {
        let name = key.get_ref();
        let Some(param) = params.iter().find(|param| param.name == name.as_ref()) else {
            return Err(toml::de::Error::custom(format!("there is no parameter `{name}`")));
        };
        values.insert(name.to_string(), param.of.read(value)?);
    }
    Ok(values)
}

/// Adds what is wrong with the values: those that are missing, and those outside their bounds.
pub(super) fn check(params: &[Param], values: &Map<String, Value>, problems: &mut Problems) {
    for param in params {
        match values.get(param.name) {
            Some(value) => param.check(value, problems),
            None => {
                problems.add_with_help(param.name, "has no default and is not set", format!("set `{}`", param.name))
            }
        }
    }
}
