//! The names and sizes of the dataset's files.

/// Rows and columns of an image.
pub(super) const EDGE: usize = 32;
/// Bytes of an image.
pub(super) const PIXELS: usize = 3 * EDGE * EDGE;
/// Bytes of an image and its label.
pub(super) const RECORD: usize = 1 + PIXELS;
/// The file that names the classes.
pub(super) const CLASSES: &str = "batches.meta.txt";
/// The files of the training split.
pub(super) const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The file of the test split.
pub(super) const TEST: &str = "test_batch.bin";
/// Records in each file of the original dataset.
pub(super) const WHOLE: usize = 10_000;
