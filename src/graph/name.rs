//! The name of an instance: `stage`, or `stage@axis=value,axis=value` with the axes that reach it.

use std::{fmt, ops::Deref};

use serde::Serialize;

/// The name of an instance. `graph::Target` reads it back, in any notation of its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InstanceName(Box<str>);

impl InstanceName {
    /// A stage, perhaps with some axes, and further parts `axis=value`.
    pub(super) fn new<'a>(start: &str, parts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let length = start.len() + parts.clone().map(|part| 1 + part.len()).sum::<usize>();
        let mut name = String::with_capacity(length);
        name.push_str(start);
        let mut mark = if start.contains('@') { ',' } else { '@' };
        for part in parts {
            name.push(mark);
            name.push_str(part);
            mark = ',';
        }
        Self(name.into())
    }

    /// The stage, and `axis=value,…` if any axis reaches it.
    #[must_use]
    pub fn split(name: &str) -> (&str, Option<&str>) {
        name.split_once('@').map_or((name, None), |(stage, axes)| (stage, Some(axes)))
    }

    /// The parts of `axis=value,axis=value`: a comma inside a list or a table belongs to the value.
    pub fn parts(axes: &str) -> impl Iterator<Item = &str> {
        let mut depth = 0_i32;
        axes.split(move |c| {
            depth += i32::from(matches!(c, '[' | '{')) - i32::from(matches!(c, ']' | '}'));
            c == ',' && depth == 0
        })
    }
}

impl Deref for InstanceName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for InstanceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for InstanceName {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for InstanceName {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_together_and_taken_apart() {
        let name = InstanceName::new("dae", ["dae.channels=[4,8]", "dae.seed=1"].into_iter());
        assert_eq!(name, "dae@dae.channels=[4,8],dae.seed=1");
        let (stage, axes) = InstanceName::split(&name);
        assert_eq!((stage, axes.map(|axes| InstanceName::parts(axes).count())), ("dae", Some(2)));
        assert_eq!(InstanceName::split("dae"), ("dae", None));
        assert_eq!(InstanceName::new("dae", [].into_iter()), "dae");
        assert_eq!(InstanceName::new("dae@variant=x", ["a=1"].into_iter()), "dae@variant=x,a=1");
    }
}
