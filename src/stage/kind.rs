//! Kinds behind function pointers, and the registry that names them.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use toml::Spanned;
use toml::de::DeTable;

use super::{
    Context, Drawing, Extent, Foresight, Inputs, Metric, Need, Outputs, Port, Problems, Source, Stage, StageError, View,
};

/// A [`Stage`] whose type is forgotten: a stage of a pipeline with its parameters.
pub trait AnyStage: Send + Sync {
    /// The parameters after defaults, as JSON.
    fn params(&self) -> Value;
    /// See [`Stage::idle`].
    fn idle(&self) -> Vec<&'static str>;
    /// See [`Stage::check`].
    fn check(&self, problems: &mut Problems);
    /// See [`Stage::needs`].
    fn needs(&self) -> Vec<Need>;
    /// See [`Stage::foresee`].
    fn foresee(&self, inputs: &Foresight, root: &Path, problems: &mut Problems) -> Foresight;
    /// See [`Stage::sources`].
    ///
    /// # Errors
    /// If the files cannot be listed.
    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError>;
    /// See [`Stage::extent`].
    fn extent(&self) -> Option<Extent>;
    /// See [`Stage::draw`].
    fn draw(&self, view: &dyn View) -> Vec<Drawing>;
    /// See [`Stage::run`].
    ///
    /// # Errors
    /// If the stage fails.
    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError>;
}

impl<S: Stage> AnyStage for S {
    fn params(&self) -> Value {
        serde_json::to_value(self).expect("parameters are plain data with string keys")
    }
    fn idle(&self) -> Vec<&'static str> {
        Stage::idle(self)
    }
    fn check(&self, problems: &mut Problems) {
        Stage::check(self, problems);
    }
    fn needs(&self) -> Vec<Need> {
        Stage::needs(self)
    }
    fn foresee(&self, inputs: &Foresight, root: &Path, problems: &mut Problems) -> Foresight {
        Stage::foresee(self, inputs, root, problems)
    }
    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        Stage::sources(self, root)
    }
    fn extent(&self) -> Option<Extent> {
        Stage::extent(self)
    }
    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        Stage::draw(self, view)
    }
    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        Stage::run(self, inputs, cx)
    }
}

impl dyn AnyStage {
    /// The parameters that have an effect, after defaults, as JSON: those that are in the key.
    #[must_use]
    pub fn effective(&self) -> Value {
        let mut params = self.params();
        for path in self.idle() {
            let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
            let mut keys = table.split('.').filter(|key| !key.is_empty());
            if let Some(Value::Object(table)) = keys.try_fold(&mut params, |table, key| table.get_mut(key)) {
                table.remove(name);
            }
        }
        params
    }
}

type Parse = fn(Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error>;

/// One kind of stage.
#[derive(Clone, Copy)]
pub struct StageKind {
    /// The name in pipeline files.
    pub name: &'static str,
    /// See [`Stage::VERSION`].
    pub version: u32,
    /// See [`Stage::INPUTS`].
    pub inputs: &'static [Port],
    /// See [`Stage::OUTPUTS`].
    pub outputs: &'static [Port],
    /// See [`Stage::EXTEND`].
    pub extend: Option<&'static str>,
    metrics: fn() -> Vec<Metric>,
    parse: Parse,
    restore: fn(&Value) -> Result<Box<dyn AnyStage>, serde_json::Error>,
    schema: fn() -> schemars::Schema,
    default: fn() -> Box<dyn AnyStage>,
}

impl StageKind {
    /// The kind that `S` implements.
    #[must_use]
    pub const fn of<S: Stage>() -> Self {
        Self {
            name: S::KIND,
            version: S::VERSION,
            inputs: S::INPUTS,
            outputs: S::OUTPUTS,
            extend: S::EXTEND,
            metrics: S::metrics,
            parse: |table| {
                let deserializer = toml::de::Deserializer::from(table);
                S::deserialize(deserializer).map(|stage| Box::new(stage) as Box<dyn AnyStage>)
            },
            restore: |params| S::deserialize(params).map(|stage| Box::new(stage) as Box<dyn AnyStage>),
            schema: || schemars::SchemaGenerator::default().into_root_schema_for::<S>(),
            default: || Box::new(S::default()),
        }
    }

    /// Reads the parameters.
    ///
    /// # Errors
    /// If a value has the wrong type; the error has the place.
    pub fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error> {
        (self.parse)(table)
    }

    /// The stage with the parameters that [`AnyStage::params`] gave.
    ///
    /// # Errors
    /// If they are not parameters of this kind.
    pub fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error> {
        (self.restore)(params)
    }

    /// See [`Stage::metrics`].
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        (self.metrics)()
    }

    /// The JSON schema of the parameters.
    #[must_use]
    pub fn schema(&self) -> schemars::Schema {
        (self.schema)()
    }

    /// The stage with every parameter at its default.
    #[must_use]
    pub fn default_stage(&self) -> Box<dyn AnyStage> {
        (self.default)()
    }

    /// The input port of that name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&'static Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output port of that name; `PORT@EPOCH` names a port too.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&'static Port> {
        let name = name.split('@').next().unwrap_or(name);
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// The kinds that a pipeline file may use.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, StageKind>);

impl Registry {
    /// The kind called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&StageKind> {
        self.0.get(name)
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &StageKind> {
        self.0.values()
    }
}

impl FromIterator<StageKind> for Registry {
    /// # Panics
    /// If two kinds have one name.
    fn from_iter<I: IntoIterator<Item = StageKind>>(kinds: I) -> Self {
        let mut registry = Self::default();
        for kind in kinds {
            assert!(registry.0.insert(kind.name, kind).is_none(), "two kinds are called `{}`", kind.name);
        }
        registry
    }
}
