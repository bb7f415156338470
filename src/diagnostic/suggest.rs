//! The name that was probably meant, and names listed in a message.

/// The candidate most like `word`, if one is similar enough to be the one that was meant.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time and memory by the product of the lengths, and nobody misspells a word that long.
    candidates
        .into_iter()
        .filter(|candidate| word.len().max(candidate.len()) <= 200)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(word.chars().count()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names in backquotes, separated by commas; `none` if there are none.
pub(crate) fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The names that a word could have been, and what to say if it resembles none of them.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    names: Vec<&'a str>,
    before: String,
    after: String,
    otherwise: Option<String>,
    always_listed: bool,
}

impl<'a> Names<'a> {
    /// The names. A similar one is suggested in backquotes; if there is none, the help lists them all.
    pub fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (before, after) = ("`".to_owned(), "`".to_owned());
        Self { names: names.into_iter().collect(), before, after, otherwise: None, always_listed: false }
    }

    /// What stands on both sides of a name where it is suggested, in place of backquotes.
    #[must_use]
    pub fn between(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        (self.before, self.after) = (before.into(), after.into());
        self
    }

    /// The help if no name is similar, in place of a list of all names.
    #[must_use]
    pub fn otherwise(mut self, help: impl Into<String>) -> Self {
        self.otherwise = Some(help.into());
        self
    }

    /// Lists all names even if one is similar.
    #[must_use]
    pub fn always_listed(mut self) -> Self {
        self.always_listed = true;
        self
    }

    /// The help for a word that is none of the names.
    #[must_use]
    pub fn help(&self, word: &str) -> String {
        let all = || format!("there are {}", quoted(&self.names));
        match (suggest(word, self.names.iter().copied()), &self.otherwise) {
            (Some(like), _) => {
                let listed = if self.always_listed { format!(" {}", all()) } else { String::new() };
                format!("did you mean {}{like}{}?{listed}", self.before, self.after)
            }
            (None, Some(otherwise)) => otherwise.clone(),
            (None, None) if self.names.is_empty() => "there are none".to_owned(),
            (None, None) => all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_suggested_or_all_are_listed() {
        let names = Names::new(["images", "probe"]);
        assert_eq!(names.help("prob"), "did you mean `probe`?");
        assert_eq!(names.help("kmeans"), "there are `images`, `probe`");
        assert_eq!(names.clone().always_listed().help("prob"), "did you mean `probe`? there are `images`, `probe`");
        assert_eq!(names.clone().between("`", ".epochs`").help("prob"), "did you mean `probe.epochs`?");
        assert_eq!(names.otherwise("it names a stage").help("kmeans"), "it names a stage");
        assert_eq!(Names::new([]).help("kmeans"), "there are none");
        assert_eq!(suggest(&"a".repeat(300), ["a"]), None);
    }
}
