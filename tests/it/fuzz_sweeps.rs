//! Mutated sweep files and `-S` arguments, in a fast loop: `check` and `plan` never panic, and what is refused is refused
//! with a place inside one of the texts.
//!
//! `STRATA_CASES` says how many, `STRATA_SEED` which is the first; what failed once stays below as a literal case.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use strata::{diagnostic::Sources, graph::Graph, pipeline, plan, stage::Registry, store::Store};

use crate::{
    support::cases,
    sweep_oracle::{
        draw::{self, Random},
        registry,
    },
};

/// What a text may hold at an unlucky place.
const WORDS: [&str; 44] = [
    "[sweep]",
    "[sweep.x]",
    "[stage.a]",
    "[variant.v]",
    "[loop.l]",
    "[pipeline]",
    "zip = [{",
    "points = [{",
    "exclude = [{",
    "seeds = 3",
    "vary = ['a']",
    "method = 'random'",
    "method = 'halving'",
    "budget = 2",
    "over = 'a.count'",
    "score = 'a.x'",
    "times = 2",
    "carry = {",
    "'a.shape'",
    "'a.shape.width'",
    "'a.rate' = ",
    "'b.limit'",
    "{ width = 1 }",
    "{",
    "}",
    "]",
    "[",
    "\"",
    "'",
    "=",
    ",",
    "\n",
    "none",
    "'= none'",
    "'= a.rate'",
    "'uniform(0, 1)'",
    "'range(1, 9, *2)'",
    "0x10",
    "1_0",
    "1e400",
    "nan",
    "18446744073709551616",
    "variant = 'base'",
    "日本",
];

fn mutated(text: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..1 + random.below(4) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = *random.pick(&places);
        match random.below(4) {
            0 => text.insert_str(at, random.pick::<&str>(&WORDS)),
            1 => {
                let to = *random.pick(&places[places.iter().position(|&place| place == at).unwrap_or(0)..]);
                let to = if to - at > 30 { at } else { to };
                text.replace_range(at..to, "");
            }
            2 => {
                // A line of the text again, elsewhere.
                let lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    let line = (*random.pick(&lines)).to_owned();
                    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
                    text.insert_str(start, &format!("{line}\n"));
                }
            }
            _ => {
                // The next digits become something else.
                if let Some(from) = text[at..].find(|c: char| c.is_ascii_digit()).map(|found| at + found) {
                    let rest = &text[from..];
                    let to = from + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    text.replace_range(from..to, random.pick::<&str>(&WORDS[32..43]));
                }
            }
        }
    }
    text
}

/// Reads texts, the first of which is the file, and plans what they mean. True if there is no mistake.
fn read(texts: &[String], registry: &Registry) -> bool {
    let mut sources = Sources::default();
    for (at, text) in texts.iter().enumerate() {
        sources.add(if at == 0 { "p.toml" } else { "command line" }, text.as_str());
    }
    let (pipeline, found) = pipeline::parse(&sources, Path::new("p.toml"), registry);
    match Graph::build(pipeline, found) {
        Ok(graph) if graph.instances.len() > 200 => true,
        Ok(graph) => {
            let names: Vec<String> = graph.instances.iter().map(|instance| instance.name.to_string()).collect();
            let selection = graph.select(&names).expect("names are read back");
            let store = Store::open(Path::new("/nonexistent/cache"));
            plan::plan(&graph, &selection, &store, false).expect("a plan of an empty cache");
            true
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a word");
            for mistake in mistakes.iter().take(20) {
                assert!(sources.slice(&mistake.span).is_some(), "{mistake:?} is nowhere");
                assert!(!mistake.render(&sources, true).is_empty());
            }
            false
        }
    }
}

/// Runs one case; what it was is told if it panics.
fn case(texts: &[String], registry: &Registry, number: u64) -> bool {
    let read = catch_unwind(AssertUnwindSafe(|| read(texts, registry)));
    read.unwrap_or_else(|_| {
        panic!("case {number} (STRATA_SEED={number} STRATA_CASES=1 runs it alone):\n{}", texts.join("\n-S "))
    })
}

#[test]
fn mutated_sweeps_and_arguments() {
    let (first, count) = cases("mutated sweeps", 600);
    let registry = registry();
    let mut right = 0;
    for number in first..first + count {
        let mut random = Random::new(number);
        let file = draw::file(&mut random);
        let mut texts = draw::texts(&file, &mut random);
        let at = random.below(texts.len());
        texts[at] = mutated(&texts[at], &mut random);
        if random.one_in(3) {
            texts.push(mutated("a.shape={ width = 1 },{ depth = 2 }", &mut random));
        }
        right += u64::from(case(&texts, &registry, number));
    }
    println!("{right} of {count} had no mistake");
}

/// What once panicked, or was refused without a place.
#[test]
fn what_failed_once_does_not_again() {
    let file = "[stage.a]\nkind = \"knob\"\n[sweep]\n";
    let drawn = "method = 'random'\nbudget = 2\n'a.rate' = 'log_uniform(0.1, 1)'\n";
    let cases: [&[&str]; 4] = [
        &["points = [{ 'a.count' = 1 }, { 'a.limit' = 1 }]", drawn],
        &["'a.rate' = [0.1]\npoints = [{ 'a.rate' = 0.1, 'a.limit' = 1 }, { 'a.rate' = 0.1, 'a.limit' = 2 }]"],
        &["points = [{ 'a.rate' = 0.5 }]\n", drawn],
        &["'a.rate' = [1, 2]\nexclude = [{ 'a.rate' = [1, 2] }]\nmethod = 'random'\nbudget = 1"],
    ];
    for (number, case_of) in cases.iter().enumerate() {
        case(&[format!("{file}{}", case_of.concat())], &registry(), number as u64);
    }
}
