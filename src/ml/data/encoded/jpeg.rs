//! Finds the end of a JPEG image in its file.
//!
//! Phones append a video or more images, and a thumbnail inside the image has an end of its own. The end is therefore
//! found segment by segment (ITU-T T.81, annex B).

/// The length of the image at the start of the file, or `None` if the file is cut before its end.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    // After the marker for the start of the image.
    let mut at = 2;
    loop {
        let (marker, next) = marker(bytes, at)?;
        at = next;
        match marker {
            END => return Some(at),
            // These markers have no segment.
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = bytes.get(at..at + 2)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

const END: u8 = 0xd9;

/// The next marker from `at` on, and the position after it. The data of a scan is skipped: in it a byte of 255 is
/// followed by 0 or by the number of a restart.
fn marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        // Any number of bytes of 255 may come before a marker.
        at += bytes.get(at..)?.iter().position(|&byte| byte != 0xff)?;
        let marker = *bytes.get(at)?;
        at += 1;
        if !matches!(marker, 0 | 0xd0..=0xd7) {
            return Some((marker, at));
        }
    }
}
