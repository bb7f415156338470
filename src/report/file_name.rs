//! Derives file and folder names from users' names: distinct, readable, and short enough for file systems.

use std::collections::BTreeMap;

use super::line::without_stages;

/// The longest file name that file systems allow, in bytes.
const LONGEST: usize = 255;

/// The preferred name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The preferred name.
    pub name: String,
    /// A text that differs between any two files, even if their preferred names are equal.
    pub identity: String,
    /// The ending: `.svg`.
    pub ending: String,
}

impl Wanted {
    /// Makes the name of a file whose preferred name is unique.
    #[must_use]
    pub fn new(name: &str, ending: &str) -> Self {
        Self { name: name.to_owned(), identity: name.to_owned(), ending: ending.to_owned() }
    }

    /// Returns the file name. If characters had to be replaced or the name had to be shortened, it contains a hash of
    /// the identity. It does not depend on other files, so it is the same every time.
    #[must_use]
    pub fn file_name(&self) -> String {
        let Self { name, ending, .. } = self;
        if safe(name) == *name && name.len() + ending.len() <= LONGEST {
            format!("{name}{ending}")
        } else {
            self.hashed()
        }
    }

    fn hashed(&self) -> String {
        let hash = &blake3::hash(self.identity.as_bytes()).to_hex()[..8];
        let room = LONGEST.saturating_sub(hash.len() + 1 + self.ending.len());
        let mut name = safe(&self.name);
        if name.len() > room {
            name = safe(&without_stages(&self.name));
        }
        format!("{}-{hash}{}", &name[..name.floor_char_boundary(room)], self.ending)
    }
}

/// Returns the names of several files in one folder. Names that would be equal, even on a file system that ignores
/// case, all contain a hash.
#[must_use]
pub fn file_names(wanted: &[Wanted]) -> Vec<String> {
    let folded = |one: &Wanted| one.file_name().to_lowercase();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for one in wanted {
        *count.entry(folded(one)).or_default() += 1;
    }
    wanted.iter().map(|one| if count[&folded(one)] > 1 { one.hashed() } else { one.file_name() }).collect()
}

/// Replaces characters that are unusual in file names.
fn safe(name: &str) -> String {
    let usual = |c: char| c.is_alphanumeric() || "_-.,=@+[]{}() ".contains(c);
    name.chars().map(|c| if usual(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str) -> String {
        Wanted::new(of, ".train.safetensors").file_name()
    }

    #[test]
    fn usual_names_stay_and_others_stay_apart() {
        for usual in ["simclr@batches.policy=random,probe.at=p3", "dae@dae.channels=[4, 8]", "über@x.y=日本"] {
            assert_eq!(name(usual), format!("{usual}.train.safetensors"));
        }
        let names = ["i@i.path=a/b", "i@i.path=a_b", "i@i.path=a:b", "i@i.path=a\nb", "i@i.path=a\u{200b}b"].map(name);
        assert_eq!(names[1], "i@i.path=a_b.train.safetensors");
        for other in [0, 2, 3, 4] {
            assert!(names[other].starts_with("i@i.path=a_b-") && !names[..other].contains(&names[other]), "{names:?}");
        }
    }

    #[test]
    fn long_names_lose_their_stages_then_their_end() {
        let axes = |digit: char| format!("stage@{}", vec![format!("{}.lr=0.{digit}", "s".repeat(30)); 9].join(","));
        let (one, other) = (name(&axes('1')), name(&axes('2')));
        assert!(one.starts_with("stage@lr=0.1,lr=0.1") && one.ends_with(".train.safetensors"), "{one}");
        assert_ne!(one, other);
        for long in ["ä".repeat(300), format!("s@a.b={}1", "x".repeat(400)), format!("s@a.b={}2", "x".repeat(400))] {
            assert!((200..=255).contains(&name(&long).len()), "{}", name(&long));
        }
        assert_eq!(name(&"x".repeat(237)).len(), 255);
    }

    #[test]
    fn names_that_differ_in_case_only_get_a_hash() {
        let wanted = ["probe@x.y=Cat", "probe@x.y=cat", "probe@x.y=dog"].map(|name| Wanted::new(name, ""));
        let names = file_names(&wanted);
        assert!(names[0].starts_with("probe@x.y=Cat-") && names[1].starts_with("probe@x.y=cat-"), "{names:?}");
        assert_eq!(names[2], "probe@x.y=dog");
        // Two files with equal preferred names and different identities.
        let one = |identity: &str| Wanted { identity: identity.to_owned(), ..Wanted::new("a-b-loss", ".svg") };
        let names = file_names(&[one("a b: loss"), one("a_b: loss")]);
        assert!(names[0] != names[1] && names.iter().all(|name| name.ends_with(".svg")), "{names:?}");
    }
}
