//! Numbers in JSON, which cannot express NaN and infinities: they are written as the strings `NaN`, `Infinity` and
//! `-Infinity`.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// A curve: epochs with a value each.
pub type Series = Vec<(u64, f64)>;

/// A number that may be NaN or infinite and is written as JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Real(pub f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = f64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
                match text {
                    "NaN" => Ok(f64::NAN),
                    "Infinity" => Ok(f64::INFINITY),
                    "-Infinity" => Ok(f64::NEG_INFINITY),
                    _ => Err(E::custom(format!("`{text}` is not a number"))),
                }
            }
        }

        deserializer.deserialize_any(Number).map(Self)
    }
}

/// For `#[serde(serialize_with)]` of an `f64`.
///
/// # Errors
/// Those of the serializer.
pub fn real<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Real(*value).serialize(serializer)
}

/// For `#[serde(with)]` of numbers by name.
pub mod reals {
    use std::collections::BTreeMap;

    use super::{Deserialize, Deserializer, Real, Serializer};

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(name, value)| (name, Real(*value))))
    }

    /// # Errors
    /// If a value is not a number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let values = BTreeMap::<String, Real>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|(name, Real(value))| (name, value)).collect())
    }
}

/// For `#[serde(with)]` of curves by name.
pub(crate) mod curves {
    use std::collections::BTreeMap;

    use super::{Deserialize, Deserializer, Real, Serializer, Series};

    /// # Errors
    /// Those of the serializer.
    pub(crate) fn serialize<S: Serializer>(
        curves: &BTreeMap<String, Series>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let points = |curve: &Series| curve.iter().map(|(epoch, value)| (*epoch, Real(*value))).collect::<Vec<_>>();
        serializer.collect_map(curves.iter().map(|(name, curve)| (name, points(curve))))
    }

    /// # Errors
    /// If a value is not a number.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Series>, D::Error> {
        let curves = BTreeMap::<String, Vec<(u64, Real)>>::deserialize(deserializer)?;
        let points = |curve: Vec<(u64, Real)>| curve.into_iter().map(|(epoch, Real(value))| (epoch, value)).collect();
        Ok(curves.into_iter().map(|(name, curve)| (name, points(curve))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() -> Result<(), serde_json::Error> {
        for value in [0.1, -0.0, 1.0, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Real(value))?;
            assert_eq!(serde_json::from_str::<Real>(&text)?.0.to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Real>("3")?.0, 3.0);
        assert!(serde_json::from_str::<Real>("null").is_err() && serde_json::from_str::<Real>("\"x\"").is_err());
        Ok(())
    }
}
