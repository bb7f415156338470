//! Pictures of what a stage produced, for reports.

use candle_core::Tensor;

use crate::store::Artifact;

/// What a finished stage can look at when it draws: its outputs and inputs, and the artifacts upstream of them.
pub trait View {
    /// The artifact at an output port; `None` if it was not made or its bytes are gone.
    fn output(&self, port: &str) -> Option<Artifact>;

    /// The artifact at an input port; `None` if nothing is connected to it or its bytes are gone.
    fn input(&self, port: &str) -> Option<Artifact>;

    /// The clean images that an input port depends on, u8 `[N, C, H, W]`: the nearest upstream artifact with `count`
    /// images.
    fn images(&self, port: &str, count: usize) -> Option<Tensor>;

    /// The labels that another stage gave to these images, one for each, with the name of that instance.
    fn labels(&self, port: &str, count: usize) -> Option<(String, Vec<u32>)>;
}

/// A way to colour the points of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// What points of one group share, such as "class".
    pub by: String,
    /// The group of each point.
    pub of: Vec<u32>,
    /// Names of the groups; those without one are numbered.
    pub names: Vec<String>,
}

/// A picture. Reports put the name of the instance, or of its point in the sweep, before its title.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Images in rows.
    Images {
        /// What they are, such as "reconstructions".
        title: String,
        /// How to read them.
        caption: String,
        /// The images, u8 `[…, C, H, W]`.
        images: Tensor,
        /// Which of them are shown, row by row; `None` leaves a gap.
        shown: Vec<Option<usize>>,
        /// How many in a row.
        columns: usize,
    },
    /// Images that are each described by a few words, most important first.
    Captioned {
        /// What they are, such as "mistakes".
        title: String,
        /// How to read them.
        caption: String,
        /// The images, u8 `[…, C, H, W]`.
        images: Tensor,
        /// Which of them are shown, each with its words, such as "cat → dog".
        shown: Vec<(usize, String)>,
    },
    /// A sentence in place of a picture that cannot be drawn, with the reason.
    Words(String),
    /// A table of numbers, whose rows and columns have names.
    Matrix {
        /// What they are, such as "confusions".
        title: String,
        /// How to read them.
        caption: String,
        /// What the rows are, and the name of each.
        rows: (String, Vec<String>),
        /// What the columns are, and the name of each.
        columns: (String, Vec<String>),
        /// What the numbers are.
        value: String,
        /// The numbers, row by row.
        cells: Vec<Vec<Option<f64>>>,
    },
    /// Points in a plane, coloured in each of several ways.
    Map {
        /// How to read it.
        caption: String,
        /// The points.
        points: Vec<(f64, f64)>,
        /// The colourings: a figure for each.
        groups: Vec<Groups>,
        /// The images of the points: all images, u8 `[N, C, H, W]`, and for each point the index of its image.
        images: Option<(Tensor, Vec<usize>)>,
    },
}
