//! Statistics over seeds against SciPy and statsmodels: numbers in `tests/reference/statistics.json`, made by the program
//! beside it; and how often the verdict is wrong where nothing differs.

use serde::Deserialize;
use strata::{
    ml::rng::Stream,
    results::{Estimate, differs, holm, paired_p},
};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    holm: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    a: Vec<f64>,
    b: Vec<f64>,
    mean: f64,
    interval: (f64, f64),
    difference: f64,
    difference_interval: (f64, f64),
    p: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../reference/statistics.json")).expect("the reference is JSON")
}

#[track_caller]
fn close(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-3), "{got} is not {want}");
}

fn differences(case: &Case) -> Vec<f64> {
    case.b.iter().zip(&case.a).map(|(b, a)| b - a).collect()
}

#[test]
fn intervals_and_p_values_are_scipys() {
    for case in reference().cases {
        for (values, mean, interval) in [
            (case.a.clone(), case.mean, case.interval),
            (differences(&case), case.difference, case.difference_interval),
        ] {
            let found = Estimate::of(&values).expect("there are values");
            assert_eq!(found.n, values.len());
            close(found.mean, mean);
            let (low, high) = found.interval.expect("there are two values or more");
            close(low, interval.0);
            close(high, interval.1);
        }
        close(paired_p(&differences(&case)).expect("there are two differences or more"), case.p);
    }
}

#[test]
fn the_correction_is_statsmodels() {
    let reference = reference();
    let p: Vec<f64> = reference.cases.iter().map(|case| case.p).collect();
    for (got, want) in holm(&p).into_iter().zip(reference.holm) {
        close(got, want);
    }
}

/// 1,000 draws of two arms that are the same, five seeds each: about 5 % are called different, alone and in families of four.
#[test]
fn equal_arms_are_called_different_one_time_in_twenty() {
    let mut stream = Stream::new(7, "arms");
    let mut draw = || {
        let mut differences = [0.0; 5];
        for difference in &mut differences {
            *difference = 0.01 * f64::from(stream.normal()) - 0.01 * f64::from(stream.normal());
        }
        paired_p(&differences).expect("five differences")
    };
    let alone = (0..1000).filter(|_| differs(draw())).count();
    let family = |draw: &mut dyn FnMut() -> f64| holm(&[draw(), draw(), draw(), draw()]).into_iter().any(differs);
    let families = (0..1000).filter(|_| family(&mut draw)).count();
    // Three standard deviations of a binomial count around 50.
    assert!((30..=70).contains(&alone), "{alone} of 1,000 alone");
    assert!((30..=70).contains(&families), "{families} of 1,000 families");
}
