//! Hashes as types: one that names work, one that names an artifact, one that names source files.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(blake3::Hash);

        impl $name {
            /// Returns the hash of these bytes.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(blake3::hash(bytes))
            }

            /// Returns all 64 hexadecimal digits.
            #[must_use]
            pub fn hex(&self) -> String {
                self.0.to_hex().to_string()
            }

            /// Returns the first 12 digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                self.hex()[..12].to_owned()
            }

            /// Returns the first two digits: the folder that a file of this name is in.
            #[must_use]
            pub fn shard(&self) -> String {
                self.hex()[..2].to_owned()
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(hash)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = blake3::HexError;

            fn from_str(hex: &str) -> Result<Self, Self::Err> {
                blake3::Hash::from_hex(hex).map(Self)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.as_bytes().cmp(other.0.as_bytes())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.to_hex())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let hex = String::deserialize(deserializer)?;
                hex.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest! {
    /// Names a piece of work: the hash of the canonical JSON of its recipe.
    StageKey
}
digest! {
    /// Names an artifact: the hash of its safetensors bytes, so `b3sum` of an object gives its file name.
    ArtifactHash
}
digest! {
    /// Names the content of source files that a stage reads from outside the cache.
    SourceHash
}
