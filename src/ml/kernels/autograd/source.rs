//! The input of a layer: floats, or a normalisation that is computed where it is read.

use std::ops::Range;

use crate::ml::kernels::{
    memory::{buffer::in_chunks, floats::Floats, scratch::Scratch},
    norm::normalise::Affine,
};

/// `act(affine(y))`, which is never stored. Computing it from `y` again costs less than a pass over memory.
#[derive(Debug)]
pub(crate) struct Normalised {
    /// `[pixels, channels]`.
    pub y: Vec<f32>,
    pub affine: Affine,
    pub relu: bool,
}

impl Normalised {
    /// `act(affine(y) + residual)` of all of `y`.
    pub(crate) fn plus(&self, residual: &Source) -> Vec<f32> {
        let Self { y, affine, relu } = self;
        in_chunks(
            y.len(),
            affine.chunk,
            8,
            || Scratch::any(0),
            |scratch, j, out| {
                let span = j * affine.chunk..j * affine.chunk + out.len();
                affine.add_line(&y[span.clone()], residual.chunk(span, scratch), *relu, out);
            },
        )
    }
}

/// The values of a node as a layer reads them, whole pixels at a time.
pub(crate) enum Source<'a> {
    Floats(Floats<'a>),
    Normalised(&'a Normalised),
}

impl<'a> Source<'a> {
    /// All elements.
    pub(crate) fn into_floats(self) -> Floats<'a> {
        match self {
            Self::Floats(floats) => floats,
            Self::Normalised(normalised) => Floats::Owned(normalised.affine.apply(&normalised.y, normalised.relu)),
        }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::Normalised(normalised) => normalised.y.len(),
        }
    }

    /// Writes the elements from `first` on to `out`.
    pub(crate) fn read(&self, first: usize, out: &mut [f32]) {
        let span = first..first + out.len();
        match self {
            Self::Floats(floats) => out.copy_from_slice(&floats[span]),
            Self::Normalised(normalised) => normalised.affine.line(&normalised.y[span], normalised.relu, out),
        }
    }

    /// The elements of a span, in place or computed in `scratch`.
    pub(crate) fn chunk<'s>(&'s self, span: Range<usize>, scratch: &'s mut Scratch) -> &'s [f32] {
        match self {
            Self::Floats(floats) => &floats[span],
            Self::Normalised(_) => {
                scratch.grow(span.len());
                let out = &mut scratch[..span.len()];
                self.read(span.start, out);
                out
            }
        }
    }

    /// The elements of a span, or an empty slice if they are not stored.
    pub(crate) fn stored(&self, span: Range<usize>) -> &[f32] {
        match self {
            Self::Floats(floats) => &floats[span],
            Self::Normalised(_) => &[],
        }
    }
}
