//! Ancillary sections (SPEC.md section 8).

use core::str;

use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};

const MOST_METADATA: usize = 65_536;

/// Length of a text, its bytes, and its characters: those of section 8, in this order.
fn text<'a>(bytes: &mut Bytes<'a>, lengths: core::ops::RangeInclusive<u32>) -> Outcome<&'a str> {
    let length = bytes.varint()?;
    if !lengths.contains(&length) {
        return Err(ErrorCode::SectionContent);
    }
    let raw = bytes.take(length as usize)?;
    if raw.iter().any(|byte| *byte < 0x20 || *byte == 0x7F) {
        return Err(ErrorCode::Text);
    }
    str::from_utf8(raw).map_err(|_| ErrorCode::Text)
}

fn content(body: &[u8]) -> Bytes<'_> {
    Bytes::with_error(body, ErrorCode::SectionContent)
}

fn end(bytes: &Bytes<'_>) -> Outcome<()> {
    bytes.end().map_err(|_| ErrorCode::SectionContent)
}

/// Names of the classes, in their order.
#[derive(Clone, Debug)]
pub struct ClassNames<'a>(Bytes<'a>);

impl<'a> ClassNames<'a> {
    pub(crate) fn open(body: &'a [u8], classes: u32) -> Outcome<Self> {
        let mut bytes = content(body);
        for _ in 0..classes {
            text(&mut bytes, 0..=1024)?;
        }
        end(&bytes)?;
        Ok(Self(content(body)))
    }
}

impl<'a> Iterator for ClassNames<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        text(&mut self.0, 0..=1024).ok()
    }
}

/// Pairs of key and value, in increasing order of the keys' bytes.
#[derive(Clone, Debug)]
pub struct Metadata<'a>(Bytes<'a>);

impl<'a> Metadata<'a> {
    pub(crate) fn open(body: &'a [u8]) -> Outcome<Self> {
        if body.len() > MOST_METADATA {
            return Err(ErrorCode::SectionContent);
        }
        let mut bytes = content(body);
        let count = bytes.varint()?;
        if !(1..=256).contains(&count) {
            return Err(ErrorCode::SectionContent);
        }
        let pairs = Self(bytes);
        let mut before = "";
        for _ in 0..count {
            let key = text(&mut bytes, 1..=255)?;
            if key <= before {
                return Err(ErrorCode::SectionContent);
            }
            before = key;
            text(&mut bytes, 0..=65_530)?;
        }
        end(&bytes)?;
        Ok(pairs)
    }
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let key = text(&mut self.0, 1..=255).ok()?;
        Some((key, text(&mut self.0, 0..=65_530).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let read = |raw: &[u8]| {
            let mut body = vec![raw.len() as u8];
            body.extend(raw);
            text(&mut content(&body), 0..=255).map(str::to_owned)
        };
        assert_eq!(read("caf\u{e9} \u{80}\u{FEFF}".as_bytes()), Ok("caf\u{e9} \u{80}\u{FEFF}".to_owned()));
        for bad in [&b"\x7f"[..], b"\x1f", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
            assert_eq!(read(bad), Err(ErrorCode::Text));
        }
    }

    #[test]
    fn metadata_order() {
        let body = [2, 1, b'a', 1, b'x', 1, b'b', 0];
        let pairs: Vec<_> = Metadata::open(&body).unwrap().collect();
        assert_eq!(pairs, [("a", "x"), ("b", "")]);
        assert_eq!(Metadata::open(&[2, 1, b'a', 0, 1, b'a', 0]).unwrap_err(), ErrorCode::SectionContent);
    }
}
