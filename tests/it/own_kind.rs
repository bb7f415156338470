//! A kind of one's own is one file and one line: its numbers, pictures and parameters show up wherever those of the other
//! kinds do.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata::{
    experiment::{Experiment, Request},
    pipeline,
    report::sections,
    results::{Catalogue, Results},
    run::{Options, Status},
    search,
    stage::{
        Context, Drawing, Form, Inputs, Metric, Outputs, Port, Problems, Registry, Stage, StageError, StageKind, View,
    },
    stages,
    store::Artifact,
};

use candle_core::{Device, Tensor};

/// The file of the kind: everything that is known of it.
mod ripple {
    use super::*;

    /// Draws ripples.
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    pub struct Ripple {
        /// Height of the waves, above 0.
        pub height: f64,
        /// Waves that are drawn.
        pub rounds: usize,
    }

    impl Default for Ripple {
        fn default() -> Self {
            Self { height: 0.5, rounds: 4 }
        }
    }

    impl Stage for Ripple {
        const KIND: &'static str = "ripple";
        const VERSION: u32 = 1;
        const INPUTS: &'static [Port] = &[];
        const OUTPUTS: &'static [Port] = &[Port::new("waves", &[Form::Matrix], "the waves")];
        const EXTEND: Option<&'static str> = Some("rounds");

        fn metrics() -> Vec<Metric> {
            vec![
                Metric::new("calm", "share of the water that is flat").fraction().higher().score(),
                Metric::new("foam", "foam on the waves").lower(),
            ]
        }

        fn draw(&self, view: &dyn View) -> Vec<Drawing> {
            let waves = view.output("waves").and_then(|waves| waves.tensor("waves").ok()?.to_vec2::<f64>().ok());
            let matrix = waves.map(|waves| Drawing::Matrix {
                title: "ripples on the pond".to_owned(),
                caption: "As seen from above.".to_owned(),
                rows: ("north".to_owned(), (0..waves.len()).map(|row| row.to_string()).collect()),
                columns: ("east".to_owned(), vec!["0".to_owned(), "1".to_owned()]),
                value: "height".to_owned(),
                cells: waves.iter().map(|row| row.iter().copied().map(Some).collect()).collect(),
            });
            matrix.into_iter().collect()
        }

        fn check(&self, problems: &mut Problems) {
            problems.positive("height", self.height);
        }

        fn run(&self, _: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
            cx.metric("calm", 1.0 / (1.0 + self.height));
            cx.metric("foam", self.height.powi(2));
            std::thread::sleep(std::time::Duration::from_millis(20 * self.rounds as u64));
            let waves = Tensor::new(&[[self.height, 0.0], [0.0, -self.height]], &Device::Cpu)?;
            Ok(Outputs::new().with("waves", Artifact::new().with("waves", waves)))
        }
    }
}

/// The one line.
fn kinds() -> Registry {
    stages::registry().kinds().cloned().chain([StageKind::of::<ripple::Ripple>()]).collect()
}

fn experiment(folder: &Path) -> Experiment {
    let file = folder.join("pond.toml");
    std::fs::write(&file, "[stage.pond]\nkind = \"ripple\"\n").expect("written");
    Experiment::open(&file).expect("it is there").kinds(kinds()).set("pond.height=0.25,1.0")
}

#[test]
fn its_numbers_are_in_tables_with_unit_and_direction() {
    let folder = tempfile::tempdir().expect("a folder");
    let experiment = experiment(folder.path());
    let ran = experiment.run(&[], Options::default()).expect("it runs");
    assert!(ran.instances.iter().all(|one| one.status == Status::Ran), "{ran:?}");
    let graph = experiment.graph().expect("a graph");
    let wanted = Request::default().select(&graph).expect("everything");
    let plan = search::plan(&graph, &wanted, &experiment.store(), false, &mut |_| {}).expect("a plan");
    let results = Results::new(&graph, plan.cached());
    let [(_, few)] = &results.tables(false)[..] else { panic!("one table") };
    assert_eq!(few.csv(), "stage,height,calm % [95 %]\npond,0.25,80.0\npond,1.0,50.0\n");
    let [(_, all)] = &results.tables(true)[..] else { panic!("one table") };
    assert_eq!(all.csv().lines().next(), Some("stage,height,calm % [95 %],foam ↓"));
    let described = serde_json::to_value(results.described()).expect("plain data");
    assert_eq!(described["calm"]["unit"], "fraction");
    assert_eq!(described["calm"]["better"], "higher");
    assert_eq!(described["foam"]["better"], "lower");

    let store = experiment.store();
    let catalogue = Catalogue::new(&graph, &plan, &store, &results);
    let page = sections::page(&catalogue, Path::new("pond.toml"), "strata run pond.toml", &[]).html();
    assert!(page.contains("pond, height=0.25: ripples on the pond"), "its picture");
    assert!(page.contains(">Calm %</h3>"), "its score is what arms are judged by");
}

#[test]
fn its_parameters_are_in_the_schema_and_its_price_grows_with_what_extends_it() {
    let schema = pipeline::schema(&kinds()).to_string();
    assert!(schema.contains("Height of the waves, above 0.") && schema.contains("ripple"), "{schema}");
    let folder = tempfile::tempdir().expect("a folder");
    let experiment = experiment(folder.path());
    experiment.run(&[], Options::default()).expect("it runs");
    let seconds = |rounds: usize| {
        let plan = experiment.set(&format!("pond.rounds={rounds}")).plan(&[]).expect("a plan");
        plan[0].seconds.expect("it ran before")
    };
    let per_round = seconds(8) / 8.0;
    assert!((seconds(80) / 80.0 - per_round).abs() < 1e-9 * per_round, "a price for each round");
}

/// A kind that is no Rust type: its ports, parameters and numbers came as data, as those of a program will.
mod of_data {
    use std::path::Path;

    use serde::Deserialize;
    use serde_json::{Value, json};
    use strata::stage::{
        AnyStage, Context, Description, Drawing, Extent, Foresight, Form, Inputs, Make, Metric, Need, Outputs, Port,
        Problems, Source, StageError, StageKind, View, interned,
    };
    use toml::{Spanned, de::DeTable};

    struct Halve(f64);
    struct Halves;

    impl AnyStage for Halve {
        fn params(&self) -> Value {
            json!({ "by": self.0 })
        }
        fn idle(&self) -> Vec<&'static str> {
            Vec::new()
        }
        fn check(&self, problems: &mut Problems) {
            problems.positive("by", self.0);
        }
        fn needs(&self) -> Vec<Need> {
            Vec::new()
        }
        fn foresee(&self, _: &Foresight, _: &Path, _: &mut Problems) -> Foresight {
            Foresight::new()
        }
        fn sources(&self, _: &Path) -> Result<Vec<Source>, StageError> {
            Ok(Vec::new())
        }
        fn extent(&self) -> Option<Extent> {
            None
        }
        fn draw(&self, _: &dyn View) -> Vec<Drawing> {
            Vec::new()
        }
        fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
            cx.metric("left", 1.0 / self.0);
            Ok(Outputs::new().with("half", inputs.at("whole").clone()))
        }
    }

    impl Make for Halves {
        fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error> {
            let table = Value::deserialize(toml::de::Deserializer::from(table))?;
            Ok(self.restore(&table).expect("numbers"))
        }
        fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error> {
            Ok(Box::new(Halve(params.get("by").and_then(Value::as_f64).unwrap_or(2.0))))
        }
        fn schema(&self) -> schemars::Schema {
            schemars::json_schema!({
                "type": "object",
                "description": "Halves.",
                "properties": { "by": { "type": "number", "description": "Into how many parts.", "default": 2.0 } },
            })
        }
        fn default_stage(&self) -> Box<dyn AnyStage> {
            Box::new(Halve(2.0))
        }
    }

    /// A kind with a name that is known at run time only.
    pub fn kind(name: &str) -> StageKind {
        let port = |name: &str| Port::new(interned(name), &[Form::Matrix], "a matrix");
        let description = Description {
            name: interned(name),
            version: 1,
            inputs: vec![port("whole")],
            outputs: vec![port("half")],
            extend: None,
            metrics: vec![Metric::new("left".to_owned(), "what is left").fraction().lower().score()],
        };
        StageKind::new(description, Halves)
    }
}

#[test]
fn a_kind_may_come_as_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pond.toml");
    let name = format!("halve_{}", std::process::id());
    let text = format!(
        "[stage.pond]\nkind = \"ripple\"\n[stage.half]\nkind = \"{name}\"\ninputs = {{ whole = \"pond.waves\" }}\n"
    );
    std::fs::write(&file, text).expect("written");
    let kinds: Registry = kinds().kinds().cloned().chain([of_data::kind(&name)]).collect();
    let experiment = Experiment::open(&file).expect("it is there").kinds(kinds).set("half.by=4,8");
    let ran = experiment.run(&[], Options::default()).expect("it runs");
    assert_eq!((ran.counts.ran, ran.counts.failed), (3, 0), "{ran:?}");
    let rows = experiment.results().expect("results");
    let left: Vec<f64> = rows.iter().filter_map(|row| row.metrics.get("left").copied()).collect();
    assert_eq!(left, [0.25, 0.125]);
    let mistakes = experiment.set("half.by=-1").set("half.bye=2").graph().err().expect("mistakes").to_string();
    assert!(mistakes.contains("mistake"), "{mistakes}");
}
