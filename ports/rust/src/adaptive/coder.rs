//! Binary arithmetic coder (SPEC.md 5.6).

use crate::error::{ErrorCode, Outcome};

const ALL: u64 = 1 << 32;

/// One stream, decision by decision.
#[derive(Clone, Debug)]
pub(crate) struct Coder<'a> {
    bytes: &'a [u8],
    /// Bytes read; those after the end of the stream count, too.
    at: u64,
    /// Below 2^33.
    low: u64,
    range: u32,
    /// Always below `range`.
    code: u32,
}

impl<'a> Coder<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Outcome<Self> {
        let mut coder = Self { bytes, at: 0, low: 0, range: u32::MAX, code: 0 };
        for _ in 0..4 {
            coder.code = coder.code << 8 | coder.next_byte();
        }
        if coder.code == u32::MAX {
            return Err(ErrorCode::CoderState);
        }
        Ok(coder)
    }

    #[inline]
    fn next_byte(&mut self) -> u32 {
        let byte = usize::try_from(self.at).ok().and_then(|at| self.bytes.get(at)).copied().unwrap_or(0);
        self.at += 1;
        u32::from(byte)
    }

    #[inline]
    fn settle(&mut self) {
        while self.range < 1 << 24 {
            self.code = self.code << 8 | self.next_byte();
            self.low = self.low << 8 & (ALL - 1);
            self.range <<= 8;
        }
    }

    /// A decision; `p` / 65536 is the probability of a one, 0 < p < 65536.
    #[inline]
    pub(crate) fn bit(&mut self, p: u32) -> u32 {
        let bound = (self.range >> 16) * p;
        let one = self.code < bound;
        if one {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.code -= bound;
            self.range -= bound;
        }
        self.settle();
        u32::from(one)
    }

    /// One of `n` values that are all alike, 1 <= n <= 65536.
    pub(crate) fn number(&mut self, n: u32) -> u32 {
        let part = self.range / n.max(1);
        let value = (self.code / part.max(1)).min(n.saturating_sub(1));
        let below = value * part;
        self.low += u64::from(below);
        self.code -= below;
        self.range = if value + 1 == n { self.range - below } else { part };
        self.settle();
        value
    }

    /// `width` <= 32 bits that are all alike.
    pub(crate) fn raw(&mut self, width: u32) -> u32 {
        let mut value = 0;
        let mut left = width;
        while left > 0 {
            let part = left.min(8);
            value = value << part | self.number(1 << part);
            left -= part;
        }
        value
    }

    /// After the last decision: that the stream is the one that an encoder writes.
    pub(crate) fn end(&self) -> Outcome<()> {
        if self.bytes.last() == Some(&0) {
            return Err(ErrorCode::NonCanonical);
        }
        if self.at < self.bytes.len() as u64 {
            return Err(ErrorCode::StreamOverlong);
        }
        let multiple = |unit: u64| (self.low + unit - 1) / unit * unit;
        let whole = multiple(ALL);
        let value = if whole < self.low + u64::from(self.range) { whole } else { multiple(1 << 24) };
        if self.low + u64::from(self.code) != value {
            return Err(ErrorCode::CoderState);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The encoder of 5.6, in 128 bits: the whole number, and how many bytes of it are settled.
    #[derive(Default)]
    pub(crate) struct Encoder {
        out: Vec<u8>,
        low: u64,
        range: u32,
    }

    impl Encoder {
        pub(crate) fn new() -> Self {
            Self { out: Vec::new(), low: 0, range: u32::MAX }
        }

        fn carry(&mut self) {
            if self.low >= ALL {
                self.low -= ALL;
                for byte in self.out.iter_mut().rev() {
                    *byte = byte.wrapping_add(1);
                    if *byte != 0 {
                        break;
                    }
                }
            }
        }

        fn settle(&mut self) {
            self.carry();
            while self.range < 1 << 24 {
                self.out.push((self.low >> 24) as u8);
                self.low = self.low << 8 & (ALL - 1);
                self.range <<= 8;
            }
        }

        pub(crate) fn bit(&mut self, p: u32, one: u32) {
            let bound = (self.range >> 16) * p;
            if one == 1 {
                self.range = bound;
            } else {
                self.low += u64::from(bound);
                self.range -= bound;
            }
            self.settle();
        }

        pub(crate) fn number(&mut self, n: u32, value: u32) {
            let part = self.range / n;
            self.low += u64::from(value * part);
            self.range = if value + 1 == n { self.range - value * part } else { part };
            self.settle();
        }

        pub(crate) fn end(mut self) -> Vec<u8> {
            let multiple = |unit: u64| (self.low + unit - 1) / unit * unit;
            let whole = multiple(ALL);
            self.low = if whole < self.low + u64::from(self.range) { whole } else { multiple(1 << 24) };
            self.carry();
            self.out.extend((self.low as u32).to_be_bytes());
            while self.out.last() == Some(&0) {
                self.out.pop();
            }
            self.out
        }
    }

    #[test]
    fn what_an_encoder_writes() {
        let mut state = 7u64;
        let mut random = move |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32) % bound
        };
        for round in 0..300 {
            let mut encoder = Encoder::new();
            let mut plan = Vec::new();
            for _ in 0..random(400) {
                if random(4) > 0 {
                    // skewed towards what carries: likely zeros with a low probability of ones
                    let p = [32, 65_504, 32_768, 1 + random(65_535)][random(4) as usize];
                    let one = u32::from(random(65_536) < p);
                    encoder.bit(p, one);
                    plan.push((p, 0, one));
                } else {
                    let n = [1, 2, 255, 256, 65_535, 65_536][random(6) as usize];
                    let value = [0, n - 1, random(n)][random(3) as usize];
                    encoder.number(n, value);
                    plan.push((0, n, value));
                }
            }
            let data = encoder.end();
            let mut coder = Coder::open(&data).unwrap();
            for (p, n, value) in plan {
                assert_eq!(if n == 0 { coder.bit(p) } else { coder.number(n) }, value, "round {round}");
            }
            assert_eq!(coder.end(), Ok(()));
        }
    }

    #[test]
    fn streams_that_no_encoder_writes() {
        assert_eq!(Coder::open(&[0xFF; 4]).unwrap_err(), ErrorCode::CoderState);
        assert_eq!(Coder::open(&[0xFF; 3]).unwrap().end(), Err(ErrorCode::CoderState));
        assert_eq!(Coder::open(&[]).unwrap().end(), Ok(()));
        assert_eq!(Coder::open(&[0]).unwrap().end(), Err(ErrorCode::NonCanonical));
        assert_eq!(Coder::open(&[0, 0, 0, 0, 1]).unwrap().end(), Err(ErrorCode::StreamOverlong));
    }
}
