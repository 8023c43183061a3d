//! Integer block (SPEC.md 5.1): parts A, B and C are read by three positions at once.

use crate::bits::Bits;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};

#[derive(Clone, Copy, Debug)]
enum Code {
    Golomb { divisor: u32, short: u32, largest: u32 },
    Exponential,
}

/// A block whose values come one after the other by [`Block::value`].
///
/// A copy made before the first value reads them all again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    bits: Bits<'a>,
    code: Code,
    width: u32,
    unary: u64,
    low: u64,
    extra: u64,
    too_large: bool,
}

impl<'a> Block<'a> {
    /// Check the parameter, part A and the presence of part B; `count` >= 1.
    pub(crate) fn open(stream: &mut Bytes<'a>, count: u32) -> Outcome<Self> {
        let parameter = stream.varint()?;
        let bits = Bits(stream.all());
        let start = stream.position() as u64 * 8;
        let (code, width, end) = if parameter & 1 == 0 {
            let divisor = parameter / 2 + 1;
            if divisor > 1 << 30 {
                return Err(ErrorCode::Parameter);
            }
            let width = 31 - divisor.leading_zeros();
            let code = Code::Golomb { divisor, short: (2 << width) - divisor, largest: u32::MAX / divisor };
            (code, width, skip_ones(bits, start, count)?)
        } else {
            let width = parameter / 2;
            if width > 30 {
                return Err(ErrorCode::Parameter);
            }
            let (end, longest) = skip_ones_measured(bits, start, count)?;
            if longest > u64::from(32 - width) {
                return Err(ErrorCode::IndexRange);
            }
            (Code::Exponential, width, end)
        };
        let extra = end + u64::from(width) * u64::from(count);
        let least = match code {
            Code::Exponential => end - start - u64::from(count),
            Code::Golomb { .. } => 0,
        };
        if extra + least > bits.len() {
            return Err(ErrorCode::StreamTruncated);
        }
        Ok(Self { bits, code, width, unary: start, low: end, extra, too_large: false })
    }

    /// The next value, modulo 2^32. To be called `count` times.
    #[inline]
    pub(crate) fn value(&mut self) -> Outcome<u32> {
        let mut zeros = 0;
        loop {
            let word = self.bits.peek(self.unary);
            if word != 0 {
                let few = word.trailing_zeros();
                zeros += u64::from(few);
                self.unary += u64::from(few) + 1;
                break;
            }
            if self.unary >= self.bits.len() {
                return Err(ErrorCode::StreamTruncated);
            }
            zeros += 56;
            self.unary += 56;
        }
        let low = self.bits.field(self.low, self.width);
        self.low += u64::from(self.width);
        match self.code {
            Code::Golomb { divisor, short, largest } => {
                let mut rest = low;
                if low >= short {
                    if self.extra >= self.bits.len() {
                        return Err(ErrorCode::StreamTruncated);
                    }
                    rest = 2 * low + self.bits.field(self.extra, 1) - short;
                    self.extra += 1;
                }
                if zeros > u64::from(largest) {
                    self.too_large = true;
                    return Ok(0);
                }
                // zeros is now below 2^32
                let value = (zeros as u32 * divisor).checked_add(rest);
                self.too_large |= value.is_none();
                Ok(value.unwrap_or(0))
            }
            Code::Exponential => {
                let zeros = zeros.min(32) as u32;
                let head = (1 << zeros) - 1 + u64::from(self.bits.field(self.extra, zeros));
                self.extra += u64::from(zeros);
                let value = (head << self.width) + u64::from(low);
                self.too_large |= value > u64::from(u32::MAX);
                Ok(value as u32)
            }
        }
    }

    /// After the last value: their range, the padding, and the stream behind the block.
    pub(crate) fn finish(self, stream: &mut Bytes<'a>) -> Outcome<()> {
        if self.too_large {
            return Err(ErrorCode::IndexRange);
        }
        stream.seek(self.bits.padding(self.extra)?);
        Ok(())
    }
}

/// Position behind the `count`-th one bit from `at`, a byte boundary.
fn skip_ones(bits: Bits<'_>, mut at: u64, count: u32) -> Outcome<u64> {
    let mut left = count;
    while at < bits.len() {
        let mut word = bits.peek(at);
        let ones = word.count_ones();
        if ones >= left {
            for _ in 1..left {
                word &= word.wrapping_sub(1);
            }
            return Ok(at + u64::from(word.trailing_zeros()) + 1);
        }
        left -= ones;
        at += 64;
    }
    Err(ErrorCode::StreamTruncated)
}

/// As [`skip_ones`], with the longest run of zero bits before one of these ones.
fn skip_ones_measured(bits: Bits<'_>, mut at: u64, count: u32) -> Outcome<(u64, u64)> {
    let mut left = count;
    let mut longest = 0;
    let mut behind = at;
    while at < bits.len() {
        let mut word = bits.peek(at);
        while word != 0 {
            let one = at + u64::from(word.trailing_zeros());
            longest = longest.max(one - behind);
            behind = one + 1;
            left -= 1;
            if left == 0 {
                return Ok((behind, longest));
            }
            word &= word - 1;
        }
        at += 64;
    }
    Err(ErrorCode::StreamTruncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8], count: u32) -> Outcome<Vec<u32>> {
        let mut stream = Bytes::stream(data);
        let mut block = Block::open(&mut stream, count)?;
        let values = (0..count).map(|_| block.value()).collect::<Result<Vec<_>, _>>()?;
        block.finish(&mut stream)?;
        stream.end()?;
        Ok(values)
    }

    #[test]
    fn worked_examples() {
        assert_eq!(read(&[0x06, 0xC6, 0x00], 3), Ok(vec![5, 0, 12]));
        assert_eq!(read(&[0x01, 0x1c, 0x23, 0x2c], 6), Ok(vec![3, 0, 0, 11, 0, 12]));
        assert_eq!(read(&[0x03, 0x92, 0xa5], 3), Ok(vec![3, 10, 11]));
    }

    #[test]
    fn the_largest_value() {
        // order 0, q = 32, extra = 0: 2^32 - 1; extra = 1: too large
        assert_eq!(read(&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0], 1), Ok(vec![u32::MAX]));
        assert_eq!(read(&[1, 0, 0, 0, 0, 3, 0, 0, 0, 0], 1), Err(ErrorCode::IndexRange));
        // a longer run is reported before what is missing
        assert_eq!(read(&[1, 0, 0, 0, 0, 2], 1), Err(ErrorCode::IndexRange));
        assert_eq!(read(&[1, 0, 0, 0, 0, 0], 1), Err(ErrorCode::StreamTruncated));
    }

    /// Writes values plainly, bit by bit, as the page says.
    fn write(values: &[u32], parameter: u32) -> Vec<u8> {
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        let mut put = |to: usize, value: u64, width: u32| {
            for j in 0..width {
                [&mut a, &mut b, &mut c][to].push(value >> j & 1);
            }
        };
        for &v in values {
            let v = u64::from(v);
            if parameter % 2 == 0 {
                let m = u64::from(parameter / 2 + 1);
                let width = 63 - m.leading_zeros();
                let u = (2u64 << width) - m;
                (0..v / m).for_each(|_| put(0, 0, 1));
                put(0, 1, 1);
                let r = v % m;
                if r < u {
                    put(1, r, width);
                } else {
                    put(1, (r + u) / 2, width);
                    put(2, (r + u) % 2, 1);
                }
            } else {
                let r = parameter / 2;
                let t = (v >> r) + 1;
                let q = 63 - t.leading_zeros();
                (0..q).for_each(|_| put(0, 0, 1));
                put(0, 1, 1);
                put(1, v & ((1 << r) - 1), r);
                put(2, t - (1 << q), q);
            }
        }
        let mut out = vec![];
        let mut p = parameter;
        while p > 0x7F {
            out.push(p as u8 | 0x80);
            p >>= 7;
        }
        out.push(p as u8);
        let bits: Vec<u64> = a.into_iter().chain(b).chain(c).collect();
        out.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |x, bit| x * 2 + *bit as u8)));
        out
    }

    #[test]
    fn any_values_any_parameter() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        for round in 0..400 {
            let exponential = round % 2 == 1;
            let width = random() % 31;
            let count = 1 + random() % 90;
            let parameter = if exponential { 2 * width + 1 } else { 2 * (random() % (1 << width)) };
            let bound = if exponential { u32::MAX } else { (parameter / 2 + 1).saturating_mul(1 + random() % 200) };
            let values: Vec<u32> = (0..count).map(|_| (random().wrapping_mul(3) % bound) >> (random() % 32)).collect();
            let data = write(&values, parameter);
            assert_eq!(read(&data, count), Ok(values), "P = {parameter}");
            for cut in 0..data.len() {
                assert!(read(&data[..cut], count).is_err());
            }
        }
    }
}
