//! `= 2 * clusters.clusters`: a parameter computed from others. Whole numbers, decimals, `+ - * / ( )`, `round( )` and
//! references.
//!
//! Whole numbers stay whole, and a quotient is whole if it comes out even. A reference alone takes over any value, and
//! `= none` alone leaves an optional parameter out.

use std::ops::Range;

/// How "left out" is written as a value of an axis, and shown.
pub const NONE: &str = "none";

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A whole number. Values have 64 bits, with a sign or without; intermediate results may be larger.
    Integer(i128),
    /// A number with a point or an exponent.
    Float(f64),
    /// `STAGE.PARAM`.
    Reference(ParamRef),
    /// `none`: no value, which an optional parameter may have.
    None,
    /// `- x`.
    Negated(Box<Expression>),
    /// `round(x)`: the nearest whole number, away from zero if two are equally near.
    Rounded(Box<Expression>),
    /// `x + y`, `x - y`, `x * y` or `x / y`.
    Binary(char, Box<Expression>, Box<Expression>),
}

/// A parameter of a stage, named in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamRef {
    /// The stage.
    pub stage: String,
    /// The key path of the parameter.
    pub path: Vec<String>,
    /// Where it stands in the text of the expression.
    pub at: Range<usize>,
}

/// A number during evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
}

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    message: String,
    /// The place in the text.
    pub at: Range<usize>,
}

/// Why arithmetic has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// A number beyond 128 bits, or beyond the largest float.
    #[error("the result is too large")]
    TooLarge,
    /// `x / 0`.
    #[error("a division by zero")]
    DivisionByZero,
    /// `none` inside arithmetic.
    #[error("`{NONE}` is not a number")]
    None,
}

impl From<ArithmeticError> for String {
    fn from(error: ArithmeticError) -> Self {
        error.to_string()
    }
}

/// The text after the `=` of a text that is an expression.
#[must_use]
pub(super) fn body(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('=')
}

impl Expression {
    /// Reads the text after the `=`.
    ///
    /// # Errors
    /// If it is not an expression.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.trim() == NONE {
            return Ok(Self::None);
        }
        let mut reader = Reader { text, at: 0, depth: 0 };
        let expression = reader.sum()?;
        match reader.peek() {
            None => Ok(expression),
            Some(c) => Err(reader.wrong(format!("`{c}` is not expected here"))),
        }
    }

    /// All references, from left to right.
    #[must_use]
    pub fn references(&self) -> Vec<&ParamRef> {
        match self {
            Self::Integer(_) | Self::Float(_) | Self::None => Vec::new(),
            Self::Reference(reference) => vec![reference],
            Self::Negated(inner) | Self::Rounded(inner) => inner.references(),
            Self::Binary(_, left, right) => [left.references(), right.references()].concat(),
        }
    }

    /// The value, given those of the references.
    ///
    /// # Errors
    /// If a reference has no number, or the arithmetic gives none.
    pub fn value<E: From<ArithmeticError>>(
        &self,
        of: &mut dyn FnMut(&ParamRef) -> Result<Number, E>,
    ) -> Result<Number, E> {
        use Number::{Float, Integer};
        match self {
            Self::Integer(number) => Ok(Integer(*number)),
            Self::Float(number) => Ok(Float(*number)),
            Self::Reference(reference) => of(reference),
            Self::None => Err(ArithmeticError::None.into()),
            Self::Negated(inner) => match inner.value(of)? {
                Integer(number) => number.checked_neg().map(Integer).ok_or_else(|| ArithmeticError::TooLarge.into()),
                Float(number) => Ok(Float(-number)),
            },
            Self::Rounded(inner) => match inner.value(of)? {
                Float(number) if number.abs() < 2f64.powi(64) => Ok(Integer(number.round() as i128)),
                Float(_) => Err(ArithmeticError::TooLarge.into()),
                whole @ Integer(_) => Ok(whole),
            },
            Self::Binary(operator, left, right) => Ok(binary(*operator, left.value(of)?, right.value(of)?)?),
        }
    }
}

fn binary(operator: char, left: Number, right: Number) -> Result<Number, ArithmeticError> {
    if let (Number::Integer(a), Number::Integer(b)) = (left, right) {
        let whole = match operator {
            '+' => a.checked_add(b),
            '-' => a.checked_sub(b),
            '*' => a.checked_mul(b),
            _ if b == 0 => return Err(ArithmeticError::DivisionByZero),
            _ if a % b != 0 => return Ok(Number::Float(a as f64 / b as f64)),
            _ => a.checked_div(b),
        };
        return whole.map(Number::Integer).ok_or(ArithmeticError::TooLarge);
    }
    let float = |number| match number {
        Number::Integer(number) => number as f64,
        Number::Float(number) => number,
    };
    let (a, b) = (float(left), float(right));
    let result = match operator {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        _ if b == 0.0 => return Err(ArithmeticError::DivisionByZero),
        _ => a / b,
    };
    if result.is_finite() { Ok(Number::Float(result)) } else { Err(ArithmeticError::TooLarge) }
}

type Read<T> = Result<T, SyntaxError>;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn wrong(&self, message: impl Into<String>) -> SyntaxError {
        let width = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        SyntaxError { message: message.into(), at: self.at..self.at + width }
    }

    /// The longest start of the rest that `fits`.
    fn word(&mut self, fits: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn chain(&mut self, operators: [char; 2], next: fn(&mut Self) -> Read<Expression>) -> Read<Expression> {
        let mut left = next(self)?;
        let mut length = 0;
        while let Some(operator) = self.peek().filter(|c| operators.contains(c)) {
            length += 1;
            if length > 100 {
                return Err(self.wrong("this is too long for an expression"));
            }
            self.at += 1;
            left = Expression::Binary(operator, Box::new(left), Box::new(next(self)?));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Read<Expression> {
        self.chain(['+', '-'], Self::product)
    }

    fn product(&mut self) -> Read<Expression> {
        self.chain(['*', '/'], Self::atom)
    }

    fn atom(&mut self) -> Read<Expression> {
        self.depth += 1;
        if self.depth > 50 {
            return Err(self.wrong("this is nested too deeply"));
        }
        let atom = match self.peek() {
            Some('-') => {
                self.at += 1;
                Expression::Negated(Box::new(self.atom()?))
            }
            Some('(') => self.inner()?,
            Some('r') if self.text[self.at..].starts_with("round(") => {
                self.at += "round".len();
                Expression::Rounded(Box::new(self.inner()?))
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => self.reference()?,
            Some(c) => return Err(self.wrong(format!("`{c}` is not expected here"))),
            None => return Err(self.wrong("a number or `stage.param` is missing at the end")),
        };
        self.depth -= 1;
        Ok(atom)
    }

    /// The expression between `(` and `)`.
    fn inner(&mut self) -> Read<Expression> {
        self.at += 1;
        let inner = self.sum()?;
        if self.peek() != Some(')') {
            return Err(self.wrong("a `)` is missing"));
        }
        self.at += 1;
        Ok(inner)
    }

    fn number(&mut self) -> Read<Expression> {
        let start = self.at;
        self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        if self.text[start..self.at].ends_with(['e', 'E']) && self.text[self.at..].starts_with(['-', '+']) {
            self.at += 1;
            self.word(|c| c.is_ascii_digit());
        }
        let word = self.text[start..self.at].replace('_', "");
        let whole = word.parse().map(Expression::Integer).ok();
        let float = || word.parse().ok().filter(|number: &f64| number.is_finite()).map(Expression::Float);
        let message = || format!("`{word}` is not a number");
        whole.or_else(float).ok_or_else(|| SyntaxError { message: message(), at: start..self.at })
    }

    /// A stage's name may hold `-`, the name of a parameter may not: `a-b.c-1` is `a-b.c` less 1.
    fn reference(&mut self) -> Read<Expression> {
        let start = self.at;
        let stage = self.word(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).to_owned();
        let path = self.word(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        let path: Vec<String> = path.strip_prefix('.').unwrap_or_default().split('.').map(str::to_owned).collect();
        let at = start..self.at;
        if path.iter().any(String::is_empty) {
            let message = format!("`{}` does not name a parameter; write `stage.param`", &self.text[at.clone()]);
            return Err(SyntaxError { message, at });
        }
        Ok(Expression::Reference(ParamRef { stage, path, at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Number, String> {
        let expression = Expression::parse(text).map_err(|error| format!("{}: {error}", error.at.start))?;
        expression.value(&mut |reference| match (reference.stage.as_str(), reference.path.join(".").as_str()) {
            ("clusters", "clusters") => Ok(Number::Integer(32)),
            ("a-b", "c.d") => Ok(Number::Float(0.5)),
            other => Err(format!("{other:?}")),
        })
    }

    #[test]
    fn arithmetic_keeps_whole_numbers_whole() {
        let cases = [
            ("clusters.clusters", Number::Integer(32)),
            (" 2 * (clusters.clusters - 2) / 3 ", Number::Integer(20)),
            ("clusters.clusters-1-1", Number::Integer(30)),
            ("7 / 2", Number::Float(3.5)),
            ("a-b.c.d * 4", Number::Float(2.0)),
            ("-2 - -3", Number::Integer(1)),
            ("1e-3 * 1_000", Number::Float(1.0)),
            ("10 - 2 - 3", Number::Integer(5)),
            ("round(3.5 / 0.1) + 1", Number::Integer(36)),
            ("-round(2.5)", Number::Integer(-3)),
            ("round(7)", Number::Integer(7)),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_have_places() {
        let cases = [
            ("", "0: a number or `stage.param` is missing at the end"),
            ("1 +", "3: a number or `stage.param` is missing at the end"),
            ("(1", "2: a `)` is missing"),
            ("round(1", "7: a `)` is missing"),
            ("round(1e300)", "the result is too large"),
            ("round", "0: `round` does not name a parameter; write `stage.param`"),
            ("1 2", "2: `2` is not expected here"),
            ("clusters", "0: `clusters` does not name a parameter; write `stage.param`"),
            ("2 ^ 3", "2: `^` is not expected here"),
            ("1.2.3", "0: `1.2.3` is not a number"),
            ("1 / 0", "a division by zero"),
            (&format!("{} + 1", i128::MAX), "the result is too large"),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Err(expected.to_owned()), "{text}");
        }
        assert!(Expression::parse(&"(".repeat(100_000)).is_err());
        assert!(Expression::parse(&"1+".repeat(100_000)).is_err());
    }
}
