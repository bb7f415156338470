//! Standard output and standard error, and what they can show.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;

use super::{Failure, args::Format};
use crate::{
    graph::Graph,
    report::{Lines, Styles},
    results::Grid,
    search::Remark,
};

/// Flags of every verb.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show only results and failures
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Display")]
    quiet: bool,
    /// Show more: reasons, keys, further metrics
    #[arg(short, long, global = true, help_heading = "Display")]
    verbose: bool,
    /// When to show colours; `NO_COLOR` turns them off too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Display")]
    color: When,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// Standard output for results, standard error for everything else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    /// Styles of standard output.
    pub results: Styles,
    /// Styles of standard error.
    pub errors: Styles,
    /// Whether standard error shows colours.
    pub color: bool,
    /// Show only results and failures.
    pub quiet: bool,
    /// Show more of everything.
    pub verbose: bool,
}

impl Console {
    /// Finds out what the two streams can show.
    pub(super) fn new(args: &Args) -> Self {
        let choice = match args.color {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::Always,
            When::Never => ColorChoice::Never,
        };
        choice.write_global();
        let results = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let color = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
        Self {
            results: Styles::new(results),
            errors: Styles::new(color),
            color,
            quiet: args.quiet,
            verbose: args.verbose,
        }
    }

    /// Writes a result to standard output. A reader that closes the pipe, as `head` does, has seen enough: that is not
    /// a failure, and the exit code still depends on what the verb found.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Writes a table in the given format. For JSON, each verb writes a document of its own.
    pub(super) fn grid(&self, grid: &Grid, format: Format) -> Result<(), Failure> {
        self.print(&match format {
            Format::Text | Format::Json => grid.text(&self.results),
            Format::Csv => grid.csv(),
            Format::Markdown => grid.markdown(),
            Format::Latex => grid.latex(),
        })
    }

    /// Writes a document as indented JSON to standard output, with the number of its format at the top. It must be an
    /// object.
    pub(super) fn json(&self, document: &impl serde::Serialize) -> Result<(), Failure> {
        #[derive(serde::Serialize)]
        struct Formatted<'a, T> {
            format: u32,
            #[serde(flatten)]
            document: &'a T,
        }
        self.bare_json(&Formatted { format: 1, document })
    }

    /// Writes JSON that follows a format of somebody else.
    pub(super) fn bare_json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.print(&format!("{text}\n"))
    }

    /// Writes a line to standard error.
    pub(super) fn note(&self, line: &str) {
        // A failure here cannot be reported anywhere.
        let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
    }

    /// Writes a line to standard error unless `--quiet` is given.
    pub(super) fn remark(&self, line: &str) {
        if !self.quiet {
            self.note(line);
        }
    }

    /// Says where the list of changed file names is, if one was written.
    pub(super) fn listed(&self, list: Option<PathBuf>) {
        if let Some(list) = list {
            self.remark(&format!("{} lists what the files with changed names hold", list.display()));
        }
    }

    /// Writes the progress of a search to standard error.
    pub(super) fn remarks(&self) -> impl FnMut(Remark) {
        |remark| self.remark(&remark.to_string())
    }

    /// The width of standard output in columns; 120, enough for a table of results, if it is not a terminal.
    pub(super) fn columns(&self) -> usize {
        console::Term::stdout().size_checked().map_or(120, |(_, columns)| usize::from(columns))
    }

    /// The width of what is laid out in lines: that of the terminal, or 80 columns if standard output is none.
    pub(super) fn width(&self) -> usize {
        self.lines().width.unwrap_or(80)
    }

    /// Whether progress can be drawn.
    pub(super) fn draws(&self) -> bool {
        io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Writes the notes and warnings about a valid pipeline to standard error.
    pub(super) fn notes(&self, graph: &Graph<'_>) {
        for note in &graph.pipeline.notes {
            self.remark(&format!("note: {note}"));
        }
        for warning in &graph.warnings {
            self.remark(&format!("{}\n", warning.render(graph.pipeline.sources, self.color)));
        }
    }

    /// Writes the warnings of results to standard error, each with the name of its instance.
    pub(super) fn warnings<'a>(&self, warnings: impl Iterator<Item = (&'a str, &'a str)>) {
        let lines = Lines { styles: self.errors, width: None };
        warnings.for_each(|(instance, warning)| self.remark(&lines.warning(instance, warning)));
    }

    /// How to write lines to standard output.
    pub(super) fn lines(&self) -> Lines {
        let width = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Lines { styles: self.results, width: width.filter(|_| io::stdout().is_terminal()) }
    }
}
