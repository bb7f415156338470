//! Pipeline files: TOML text to a [`Pipeline`], with a place for everything, so that every later mistake can be shown.
//!
//! Reading has two phases. `written` takes the texts apart and knows no kind of stage; `resolve` makes a [`Pipeline`]
//! of that, asking the registry what parameters and ports there are. Read `written/mod.rs` first, then `resolved` (what
//! comes out) with `space` (the points of a sweep), then `resolve/mod.rs`, which calls one function for each step.
//!
//! Both phases use `document` (parsed TOML that keeps its places), `expression` (`= 2 * stage.param`), `worth`
//! (which values are equal) and `limits`. `schema` and `kind_toml` describe pipeline files to editors and
//! people. `include` and `declared` find the files that hold kinds.

mod declared;
pub mod document;
mod expression;
mod include;
mod kind_toml;
mod limits;
mod project;
mod resolve;
mod resolved;
mod schema;
mod space;
mod worth;
mod written;

use std::path::Path;

pub use declared::{Declared, DeclaredError};
pub use document::{expressions, replace};
pub use expression::{Expression, Number, ParamRef};
pub use include::included;
pub use kind_toml::kind_toml;
pub use limits::{MAX_INSTANCES, MAX_NODES};
pub use project::{place_of, project_root};
pub use resolve::{params::Params, typed::typed};
pub use resolved::{Axis, Halving, Loop, Patch, Pipeline, StageDef, Variant};
pub use schema::schema;
pub use space::{AxisBlock, Space};
pub use worth::{meant, plain};
pub use written::{resources::Resources, table::Wire, variant::BASE};

pub(crate) use crate::diagnostic::quoted;
use crate::{
    diagnostic::{Diagnostics, Sources},
    stage::Registry,
};

/// Reads a pipeline from its texts: first that of `file`, then one for each argument: `stage.param=value` of a `-S`,
/// `--sweep=NAME`, `--variant=NAME,NAME`, `--seeds=N`. Files that it includes ([`included`]) are texts of their own.
///
/// All mistakes are reported at once; the pipeline that is returned with them is as much as could be read.
pub fn parse<'t>(sources: &'t Sources, file: &Path, registry: &Registry) -> (Pipeline<'t>, Diagnostics) {
    parse_text(sources, Pipeline::empty(file, sources), registry)
}

/// Reads the pipeline of an earlier run from its texts, like [`parse`]. It was checked when it ran, so the files that it
/// names need not be there any more.
pub fn parse_recorded<'t>(sources: &'t Sources, file: &Path, registry: &Registry) -> (Pipeline<'t>, Diagnostics) {
    let empty = Pipeline { recorded: true, ..Pipeline::empty(file, sources) };
    parse_text(sources, empty, registry)
}

fn parse_text<'t>(sources: &'t Sources, empty: Pipeline<'t>, registry: &Registry) -> (Pipeline<'t>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let mut texts = sources.texts();
    let text = texts.next().map_or("", |(_, text)| text);
    let pipeline = match written::file::read(text, &mut diagnostics) {
        Some(mut written) => {
            written.kinds_are_complete = include::check(&written.include, &empty.root, sources, &mut diagnostics);
            for (_, start, text) in sources.included() {
                written.kinds.extend(written::file::read_included(text, start, &mut diagnostics));
            }
            let arguments = written::arguments::read(texts, &mut diagnostics);
            resolve::resolve(written, arguments, empty, registry, &mut diagnostics)
        }
        None => empty,
    };
    (pipeline, diagnostics)
}
