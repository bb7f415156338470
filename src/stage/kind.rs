//! Kinds as they are known at run time, and the registry that names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use toml::Spanned;
use toml::de::DeTable;

use super::{
    Context, Drawing, Extent, Foresight, Inputs, Metric, Need, Outputs, Port, Problems, Source, Stage, StageError, View,
};

/// A type-erased [`Stage`]: a stage of a pipeline with its parameters.
pub trait AnyStage: Send + Sync {
    /// The parameters after defaults, as JSON.
    fn params(&self) -> Value;
    /// For work whose code is not part of this program: what decides its result besides parameters and files. It is in
    /// the key.
    fn program(&self) -> Option<Value> {
        None
    }
    /// Whether it reads its inputs as files, so that they need not be loaded for it.
    fn takes_files(&self) -> bool {
        false
    }
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

/// Makes stages of a kind, from a Rust type or from a description that came as data.
pub trait Make: Send + Sync {
    /// Reads the parameters.
    ///
    /// # Errors
    /// If a value has the wrong type. The error gives its place.
    fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error>;

    /// Makes a stage again from the parameters that [`AnyStage::params`] returned.
    ///
    /// # Errors
    /// If they are not the parameters of this kind.
    fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error>;

    /// The JSON schema of the parameters.
    fn schema(&self) -> schemars::Schema;

    /// The stage with every parameter at its default.
    fn default_stage(&self) -> Box<dyn AnyStage>;
}

/// Makes stages that are values of a Rust type.
struct Typed<S>(PhantomData<fn() -> S>);

impl<S: Stage> Make for Typed<S> {
    fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error> {
        S::deserialize(toml::de::Deserializer::from(table)).map(|stage| Box::new(stage) as Box<dyn AnyStage>)
    }
    fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error> {
        S::deserialize(params).map(|stage| Box::new(stage) as Box<dyn AnyStage>)
    }
    fn schema(&self) -> schemars::Schema {
        schemars::SchemaGenerator::default().into_root_schema_for::<S>()
    }
    fn default_stage(&self) -> Box<dyn AnyStage> {
        Box::new(S::default())
    }
}

/// Everything that the rest of the program knows about a kind.
pub struct Description {
    /// The name in pipeline files.
    pub name: &'static str,
    /// See [`Stage::VERSION`].
    pub version: u32,
    /// The input ports.
    pub inputs: Vec<Port>,
    /// The output ports.
    pub outputs: Vec<Port>,
    /// See [`Stage::EXTEND`].
    pub extend: Option<&'static str>,
    /// See [`Stage::metrics`].
    pub metrics: Vec<Metric>,
}

/// One kind of stage: its description, and the code that makes stages of it. Clones share both.
#[derive(Clone)]
pub struct StageKind {
    description: Arc<Description>,
    make: Arc<dyn Make>,
}

impl Deref for StageKind {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

impl StageKind {
    /// The kind that `S` implements.
    #[must_use]
    pub fn of<S: Stage>() -> Self {
        let description = Description {
            name: S::KIND,
            version: S::VERSION,
            inputs: S::INPUTS.to_vec(),
            outputs: S::OUTPUTS.to_vec(),
            extend: S::EXTEND,
            metrics: S::metrics(),
        };
        Self::new(description, Typed::<S>(PhantomData))
    }

    /// A kind that is described by data. Its names come from [`interned`].
    #[must_use]
    pub fn new(description: Description, make: impl Make + 'static) -> Self {
        Self { description: Arc::new(description), make: Arc::new(make) }
    }

    /// Reads the parameters.
    ///
    /// # Errors
    /// If a value has the wrong type. The error gives its place.
    pub fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error> {
        self.make.parse(table)
    }

    /// Makes a stage again from the parameters that [`AnyStage::params`] returned.
    ///
    /// # Errors
    /// If they are not the parameters of this kind.
    pub fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error> {
        self.make.restore(params)
    }

    /// The JSON schema of the parameters.
    #[must_use]
    pub fn schema(&self) -> schemars::Schema {
        self.make.schema()
    }

    /// The stage with every parameter at its default.
    #[must_use]
    pub fn default_stage(&self) -> Box<dyn AnyStage> {
        self.make.default_stage()
    }

    /// The input port called `name`.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output port called `name`, which may be written `PORT@EPOCH`.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&Port> {
        let name = name.split('@').next().unwrap_or(name);
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// Returns a name that lives as long as the program. Equal names are stored once, so the names of kinds that a pipeline
/// file describes can be used like those of Rust types.
#[must_use]
pub fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let new: &'static str = Box::leak(name.into());
    names.insert(new);
    new
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

    /// Adds a kind, in place of another of its name.
    pub fn add(&mut self, kind: StageKind) {
        self.0.insert(kind.name, kind);
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &StageKind> {
        self.0.values()
    }
}

impl FromIterator<StageKind> for Registry {
    /// # Panics
    /// If two kinds have the same name.
    fn from_iter<I: IntoIterator<Item = StageKind>>(kinds: I) -> Self {
        let mut registry = Self::default();
        for kind in kinds {
            let name = kind.name;
            assert!(registry.0.insert(name, kind).is_none(), "two kinds are called `{name}`");
        }
        registry
    }
}
