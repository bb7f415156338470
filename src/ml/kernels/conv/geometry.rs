//! The windows of a convolution.

/// Window, step and padding of a square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Rows and columns of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Rows and columns of zeros around the image: top, bottom, left, right.
    pub padding: [usize; 4],
}

impl Geometry {
    /// `kernel / 2` zeros on every side, as in PyTorch's networks.
    #[must_use]
    pub fn symmetric(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, padding: [kernel / 2; 4] }
    }

    /// TensorFlow's `same` padding for an input of `size` (height, width): the output has `ceil(size / stride)` pixels,
    /// and an odd number of zeros has the larger half at the bottom and the right.
    #[must_use]
    pub fn same_tf(kernel: usize, stride: usize, size: [usize; 2]) -> Self {
        let [(top, bottom), (left, right)] = size.map(|size| {
            let total = ((size.div_ceil(stride).max(1) - 1) * stride + kernel).saturating_sub(size);
            (total / 2, total - total / 2)
        });
        Self { kernel, stride, padding: [top, bottom, left, right] }
    }

    /// Height and width of the output for an input of `size`; zero where no window fits.
    #[must_use]
    pub fn output(&self, size: [usize; 2]) -> [usize; 2] {
        let [top, bottom, left, right] = self.padding;
        let windows = |size: usize| if size < self.kernel { 0 } else { (size - self.kernel) / self.stride + 1 };
        [windows(size[0] + top + bottom), windows(size[1] + left + right)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        assert_eq!(Geometry::same_tf(3, 2, [32, 32]).padding, [0, 1, 0, 1]);
        assert_eq!(Geometry::same_tf(3, 2, [33, 32]).padding, [1, 1, 0, 1]);
        assert_eq!(Geometry::same_tf(3, 1, [32, 32]).padding, [1; 4]);
        assert_eq!(Geometry::same_tf(1, 2, [32, 32]).padding, [0; 4]);
        assert_eq!(Geometry::same_tf(7, 2, [224, 224]).padding, [2, 3, 2, 3]);
    }

    #[test]
    fn output_sizes() {
        assert_eq!(Geometry::same_tf(3, 2, [32, 31]).output([32, 31]), [16, 16]);
        assert_eq!(Geometry::symmetric(7, 2).output([224, 224]), [112, 112]);
        assert_eq!(Geometry::symmetric(1, 2).output([5, 4]), [3, 2]);
        assert_eq!(Geometry { kernel: 3, stride: 1, padding: [0; 4] }.output([2, 3]), [0, 1]);
    }
}
