//! What a layer reads: floats, or a normalisation that is formed where it is read.

use std::ops::Range;

use crate::ml::kernels::autograd::activation::Floats;
use crate::ml::kernels::conv::tile::Scratch;
use crate::ml::kernels::norm::normalise::Affine;

/// `act(affine(y))`, which is never stored: reading `y` and forming it anew costs less than a pass over memory.
#[derive(Debug)]
pub(crate) struct Normalised {
    /// `[pixels, channels]`.
    pub y: Vec<f32>,
    pub affine: Affine,
    pub relu: bool,
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
            Self::Normalised(normalised) => {
                Floats::Owned(normalised.affine.apply(&normalised.y, None, normalised.relu))
            }
        }
    }

    /// Elements in all.
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

    /// The elements of a span: in place, or formed in `scratch`.
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

    /// The elements of a span if they are stored, else none.
    pub(crate) fn stored(&self, span: Range<usize>) -> &[f32] {
        match self {
            Self::Floats(floats) => &floats[span],
            Self::Normalised(_) => &[],
        }
    }
}
