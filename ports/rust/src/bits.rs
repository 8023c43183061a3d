//! Bit fields, least significant bit first (SPEC.md section 2). Positions count bits from the start of the bytes.

use crate::error::{ErrorCode, Outcome};

/// Bytes as bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a>(pub(crate) &'a [u8]);

impl Bits<'_> {
    pub(crate) const fn len(self) -> u64 {
        self.0.len() as u64 * 8
    }

    /// At least 57 bits from `at` on; bits after the end are zero.
    #[inline]
    pub(crate) fn peek(self, at: u64) -> u64 {
        let byte = (at >> 3) as usize;
        let mut word = [0; 8];
        match self.0.get(byte..byte.saturating_add(8)) {
            Some(eight) => word.copy_from_slice(eight),
            None => word = self.last_bytes(byte),
        }
        u64::from_le_bytes(word) >> (at & 7)
    }

    #[cold]
    fn last_bytes(self, from: usize) -> [u8; 8] {
        let mut word = [0; 8];
        let rest = self.0.get(from..).unwrap_or(&[]);
        word.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        word
    }

    /// The field of `width` <= 32 bits at `at`.
    #[inline]
    pub(crate) fn field(self, at: u64, width: u32) -> u32 {
        (self.peek(at) & ((1 << width) - 1)) as u32
    }

    /// The first byte at or after the bit position, if the bits up to there are zero.
    pub(crate) fn padding(self, at: u64) -> Outcome<usize> {
        if at & 7 != 0 && self.field(at, 8 - (at & 7) as u32) != 0 {
            return Err(ErrorCode::Padding);
        }
        Ok(((at + 7) >> 3) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_specification() {
        let bits = Bits(&[0xA6, 0x01]);
        assert_eq!(bits.field(1, 3), 3);
        assert_eq!(bits.field(5, 5), 13);
        assert_eq!(bits.field(9, 32), 0);
        assert_eq!(bits.field(400, 32), 0);
        assert_eq!(bits.padding(9), Ok(2));
        assert_eq!(bits.padding(8), Ok(1));
        assert_eq!(bits.padding(7), Err(ErrorCode::Padding));
    }
}
