//! Checks that the decoder of PBM, PGM, PPM and PAM does not make: samples above the largest value that the header
//! allows, and images after the first one (see <https://netpbm.sourceforge.net/doc/ppm.html>).

/// The checks of one PNM image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pnm {
    /// The first sample above the largest value that the header allows, with that value.
    pub too_large: Option<(u32, u32)>,
    /// Whether another image follows.
    pub has_follower: bool,
}

/// Reads the header and all samples; `None` if the file is not a whole image.
pub(super) fn read(bytes: &[u8]) -> Option<Pnm> {
    let magic = *bytes.get(1)?;
    let mut words = Words { bytes, at: 2 };
    let (width, height, depth, most) = if magic == b'7' { pam(&mut words)? } else { header(magic, &mut words)? };
    let samples = width.checked_mul(height)?.checked_mul(depth)?;
    let mut too_large = None;
    let mut look = |sample: u32| {
        if sample > most && too_large.is_none() {
            too_large = Some((sample, most));
        }
    };
    match magic {
        b'1' => (0..samples).try_for_each(|_| words.digit())?,
        b'2' | b'3' => (0..samples).try_for_each(|_| words.number().map(&mut look))?,
        b'4' => words.at = words.at.checked_add(width.div_ceil(8).checked_mul(height)?)?,
        _ if most < 256 => words.take(samples)?.iter().for_each(|&sample| look(sample.into())),
        _ => {
            let pairs = words.take(samples.checked_mul(2)?)?.as_chunks::<2>().0;
            pairs.iter().for_each(|&pair| look(u16::from_be_bytes(pair).into()));
        }
    }
    let rest = bytes.get(words.at..)?.trim_ascii_start();
    Some(Pnm { too_large, has_follower: matches!(rest, [b'P', b'1'..=b'7', ..]) })
}

/// Width, height, samples of a pixel and the largest sample, in all formats except PAM.
fn header(magic: u8, words: &mut Words<'_>) -> Option<(usize, usize, usize, u32)> {
    let mut number = || words.number();
    let (width, height) = (number()? as usize, number()? as usize);
    let most = if matches!(magic, b'1' | b'4') { 1 } else { number()? };
    // One character of white space separates the header from the samples.
    words.at += 1;
    Some((width, height, if matches!(magic, b'3' | b'6') { 3 } else { 1 }, most))
}

/// The same in PAM.
fn pam(words: &mut Words<'_>) -> Option<(usize, usize, usize, u32)> {
    let (mut width, mut height, mut depth, mut most) = (None, None, None, None);
    loop {
        match words.word()? {
            b"WIDTH" => width = words.number(),
            b"HEIGHT" => height = words.number(),
            b"DEPTH" => depth = words.number(),
            b"MAXVAL" => most = words.number(),
            b"ENDHDR" => break,
            _ => {}
        }
    }
    words.at += 1;
    Some((width? as usize, height? as usize, depth? as usize, most?))
}

struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    /// Moves to the next byte that is neither white space nor in a comment.
    fn skip(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b'#' => self.at += self.bytes[self.at..].iter().position(|&byte| byte == b'\n')?,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        self.skip()?;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'#').unwrap_or(rest.len());
        self.at += length;
        Some(&rest[..length])
    }

    fn number(&mut self) -> Option<u32> {
        std::str::from_utf8(self.word()?).ok()?.parse().ok()
    }

    /// A bit of PBM as text; no white space is needed between bits.
    fn digit(&mut self) -> Option<()> {
        self.skip()?;
        self.at += 1;
        Some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_followers_are_seen() {
        let fine = Some(Pnm { too_large: None, has_follower: false });
        let several = Some(Pnm { too_large: None, has_follower: true });
        let large = |sample, most| Some(Pnm { too_large: Some((sample, most)), has_follower: false });
        let cases: [(&[u8], Option<Pnm>); 13] = [
            (b"P6 1 1 255\nabc", fine),
            (b"P6 1 1 255\nabcP6 1 1 255\nabc", several),
            (b"P5 # a comment\n2 1\n100\n\x64\x65", large(101, 100)),
            (b"P5 1 1 1000\n\x03\xe9", large(1001, 1000)),
            (b"P5 1 1 1000\n\x03\xe8\n", Some(Pnm { too_large: None, has_follower: false })),
            (b"P2 2 1 9 3 10", large(10, 9)),
            (b"P3 1 1 9 3 4 5 P3 1 1 9 3 4 5", Some(Pnm { too_large: None, has_follower: true })),
            (b"P1 3 1 101", Some(Pnm { too_large: None, has_follower: false })),
            (b"P1 3 1 1 0 1 P1", Some(Pnm { too_large: None, has_follower: true })),
            (b"P4 9 1\nab", Some(Pnm { too_large: None, has_follower: false })),
            (b"P4 9 1\nabP4 1 1\na", Some(Pnm { too_large: None, has_follower: true })),
            (
                b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 200\nTUPLTYPE RGB_ALPHA\nENDHDR\n\x01\x02\x03\xc9",
                large(201, 200),
            ),
            (b"P6 2 2 255\nabc", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
