//! Bytes read from front to back: varints and little-endian numbers (SPEC.md section 2).

use crate::error::{ErrorCode, Outcome};

/// A byte string and a position in it. Reads past the end give the error that belongs to this string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
    missing: ErrorCode,
}

impl<'a> Bytes<'a> {
    /// A stream of a codec: bytes that are missing are `STREAM_TRUNCATED`.
    pub(crate) const fn stream(data: &'a [u8]) -> Self {
        Self { data, at: 0, missing: ErrorCode::StreamTruncated }
    }

    pub(crate) const fn with_error(data: &'a [u8], missing: ErrorCode) -> Self {
        Self { data, at: 0, missing }
    }

    /// All bytes, whatever the position.
    pub(crate) const fn all(&self) -> &'a [u8] {
        self.data
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Move to a position at or before the end.
    pub(crate) fn seek(&mut self, at: usize) {
        self.at = at.min(self.data.len());
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or(&[])
    }

    pub(crate) fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let found = self.rest().get(..count).ok_or(self.missing)?;
        self.at += count;
        Ok(found)
    }

    pub(crate) fn u8(&mut self) -> Outcome<u8> {
        let found = *self.data.get(self.at).ok_or(self.missing)?;
        self.at += 1;
        Ok(found)
    }

    pub(crate) fn u32(&mut self) -> Outcome<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    pub(crate) fn varint(&mut self) -> Outcome<u32> {
        let mut value = 0;
        for n in 0..5 {
            let byte = self.u8()?;
            if n == 4 && byte > 0x0F {
                break;
            }
            value |= u32::from(byte & 0x7F) << (7 * n);
            if byte < 0x80 {
                if byte == 0 && n > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(ErrorCode::BadVarint)
    }

    /// The end of a stream: nothing may be left.
    pub(crate) fn end(&self) -> Outcome<()> {
        if self.at == self.data.len() {
            Ok(())
        } else {
            Err(ErrorCode::StreamOverlong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        let read = |bytes: &[u8]| Bytes::stream(bytes).varint();
        assert_eq!(read(&[0]), Ok(0));
        assert_eq!(read(&[0x7F, 9]), Ok(127));
        assert_eq!(read(&[0x80, 1]), Ok(128));
        assert_eq!(read(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), Ok(u32::MAX));
        for bad in [&[0x80, 0][..], &[0xFF, 0xFF, 0xFF, 0xFF, 0x1F], &[0x80, 0x80, 0x80, 0x80, 0x80], &[0x80, 0x80, 0x80, 0x80, 0]] {
            assert_eq!(read(bad), Err(ErrorCode::BadVarint));
        }
        for cut in [&[][..], &[0x80], &[0xFF, 0xFF, 0xFF, 0xFF]] {
            assert_eq!(read(cut), Err(ErrorCode::StreamTruncated));
        }
    }
}
