//! Colours that can be told apart, on white and on a dark page.

use std::sync::OnceLock;

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// The colours of few groups, which can be told apart without red and green (after Paul Tol's bright scheme).
const FEW: [Colour; 10] = [
    [0x44, 0x77, 0xaa],
    [0xee, 0x66, 0x77],
    [0x22, 0x88, 0x33],
    [0xcc, 0xbb, 0x44],
    [0x66, 0xcc, 0xee],
    [0xaa, 0x33, 0x77],
    [0xbb, 0x77, 0x44],
    [0x77, 0x77, 0xcc],
    [0x44, 0xaa, 0x99],
    [0x99, 0x99, 0x99],
];
/// The number of colours; more groups than that share them.
const MOST: usize = 96;

/// Returns the colour of each of `count` groups. The first ten are the same however many there are.
#[must_use]
pub(super) fn colours(count: usize) -> Vec<Colour> {
    static ALL: OnceLock<Vec<Colour>> = OnceLock::new();
    let all = if count <= FEW.len() { &FEW[..] } else { ALL.get_or_init(many) };
    all.iter().copied().cycle().take(count).collect()
}

/// Writes a colour as `#4477aa`.
#[must_use]
pub(super) fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Continues [`FEW`]: each further colour is the one farthest from all before it. Colours near white or black, which
/// one of the two pages would swallow, are left out.
fn many() -> Vec<Colour> {
    const STEPS: std::ops::RangeInclusive<usize> = 0..=11;
    let level = |step: usize| (step * 255 / 11) as u8;
    let cube = STEPS.flat_map(|r| STEPS.flat_map(move |g| STEPS.map(move |b| [level(r), level(g), level(b)])));
    let legible = cube.filter(|colour| (0.45..=0.83).contains(&oklab(*colour)[0]));
    let mut all = FEW.to_vec();
    let nearest =
        |colour: Colour, all: &[Colour]| all.iter().map(|one| distance(*one, colour)).fold(f64::INFINITY, f64::min);
    let mut free: Vec<(Colour, f64)> = legible.map(|colour| (colour, nearest(colour, &all))).collect();
    while all.len() < MOST {
        let Some(&(next, _)) = free.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        all.push(next);
        free.iter_mut().for_each(|(colour, near)| *near = near.min(distance(*colour, next)));
    }
    all
}

fn distance(one: Colour, other: Colour) -> f64 {
    let (one, other) = (oklab(one), oklab(other));
    one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Returns lightness, green to red, and blue to yellow, in which equal distances look about equal (Ottosson, "A
/// perceptual color space for image processing", 2020).
fn oklab(colour: Colour) -> [f64; 3] {
    let linear = colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let times = |rows: [[f64; 3]; 3], by: [f64; 3]| rows.map(|row| row.iter().zip(by).map(|(a, b)| a * b).sum::<f64>());
    let cones = times(
        [
            [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
            [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
            [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
        ],
        linear,
    );
    times(
        [
            [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
            [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
            [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
        ],
        cones.map(f64::cbrt),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_has_white_black_and_red_where_its_paper_has_them() {
        let close = |colour, expected: [f64; 3]| {
            let found = oklab(colour);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{colour:?}: {found:?}");
        };
        close([255; 3], [1.0, 0.0, 0.0]);
        close([0; 3], [0.0, 0.0, 0.0]);
        close([255, 0, 0], [0.628, 0.225, 0.126]);
    }

    #[test]
    fn sixty_four_clusters_have_colours_that_differ() {
        let all = colours(64);
        assert_eq!(all[..10], FEW);
        for (at, one) in all.iter().enumerate() {
            let nearest = all[..at].iter().map(|other| distance(*one, *other)).fold(f64::INFINITY, f64::min);
            // A step of 0.02 is about the least that is seen side by side.
            assert!(nearest > 0.06, "{} is {nearest:.3} from another colour", hex(*one));
        }
        assert_eq!(colours(1000).len(), 1000);
    }
}
