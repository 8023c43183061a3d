//! Canonical Huffman code (SPEC.md 5.3).

use crate::bits::Bits;
use crate::block::Block;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};
use crate::symbols::Symbols;

/// Bits that one look into the table of short codes takes.
const SHORT: u32 = 10;

/// Words of scratch for an alphabet of so many symbols: with and without the table of short codes.
pub(crate) const fn scratch(alphabet: u32) -> (usize, usize) {
    (alphabet as usize + (1 << SHORT), alphabet as usize)
}

/// A code, and the position in the code words. A copy made before the first symbol reads them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Huffman<'a, 's> {
    bits: Bits<'a>,
    at: u64,
    /// The only symbol, if there is but one.
    single: Option<u32>,
    /// Number of code words of each length.
    count: [u32; 17],
    /// Symbols in the order of their code words.
    sorted: &'s [u32],
    /// By the next `SHORT` bits: symbol * 32 + length, or 0 for longer codes. May be empty.
    short: &'s [u32],
}

impl<'a, 's> Huffman<'a, 's> {
    /// Read and check the table; the code words follow.
    pub(crate) fn open(stream: &mut Bytes<'a>, alphabet: u32, scratch: &'s mut [u32]) -> Outcome<Self> {
        let mut symbols = Symbols::open(stream, alphabet)?;
        let used = symbols.count;
        let bits = Bits(stream.all());
        if used == 1 {
            let at = stream.position() as u64 * 8;
            let single = Some(symbols.symbol()?);
            return Ok(Self { bits, at, single, count: [0; 17], sorted: &[], short: &[] });
        }
        let lengths = Block::open(stream, used)?;
        let mut count = [0u32; 17];
        let mut block = lengths;
        let mut length = first_length(used);
        let mut in_range = true;
        for _ in 0..used {
            length += difference(block.value()?);
            match usize::try_from(length) {
                Ok(n @ 1..=16) => count[n] += 1,
                _ => in_range = false,
            }
        }
        block.finish(stream)?;
        let filled: u64 = count.iter().enumerate().map(|(n, c)| u64::from(*c) << (16 - n)).sum();
        if !in_range || filled != 1 << 16 {
            return Err(ErrorCode::Table);
        }
        let (sorted, rest) = split(scratch, used as usize)?;
        let mut next = [0u32; 17];
        for n in 1..16 {
            next[n + 1] = next[n] + count[n];
        }
        let (mut block, mut length) = (lengths, first_length(used));
        for _ in 0..used {
            length += difference(block.value()?);
            let symbol = symbols.symbol()?;
            let place = usize::try_from(length).ok().and_then(|length| next.get_mut(length)).ok_or(ErrorCode::Table)?;
            *sorted.get_mut(*place as usize).ok_or(ErrorCode::Table)? = symbol;
            *place += 1;
        }
        let short = rest.get_mut(..1 << SHORT).unwrap_or(&mut []);
        fill_short(short, &count, sorted);
        Ok(Self { bits, at: stream.position() as u64 * 8, single: None, count, sorted, short })
    }

    /// The next symbol.
    #[inline]
    pub(crate) fn symbol(&mut self) -> Outcome<u32> {
        if let Some(only) = self.single {
            return Ok(only);
        }
        let word = self.bits.peek(self.at);
        let entry = self.short.get((word & ((1 << SHORT) - 1)) as usize).copied().unwrap_or(0);
        let (symbol, length) = if entry == 0 { self.search(word)? } else { (entry >> 5, entry & 31) };
        self.at += u64::from(length);
        if self.at > self.bits.len() {
            return Err(ErrorCode::StreamTruncated);
        }
        Ok(symbol)
    }

    /// Symbol and length of the code word at the start of `word`.
    fn search(&self, word: u64) -> Outcome<(u32, u32)> {
        let (mut code, mut first, mut start) = (0u32, 0u32, 0u32);
        for (length, count) in (0u32..).zip(self.count).skip(1) {
            code = 2 * code + (word >> (length - 1) & 1) as u32;
            first *= 2;
            if code < first + count {
                let place = (start + code - first) as usize;
                let symbol = self.sorted.get(place).ok_or(ErrorCode::Table)?;
                return Ok((*symbol, length));
            }
            start += count;
            first += count;
        }
        Err(ErrorCode::Table) // cannot happen: the code is complete
    }

    /// After the last symbol: the padding, and the stream behind the code words.
    pub(crate) fn finish(self, stream: &mut Bytes<'a>) -> Outcome<()> {
        stream.seek(self.bits.padding(self.at)?);
        Ok(())
    }
}

/// ceil(log2 `used`), the length that the first difference refers to.
const fn first_length(used: u32) -> i64 {
    32 - (used - 1).leading_zeros() as i64
}

/// Zigzag.
const fn difference(z: u32) -> i64 {
    if z & 1 == 0 {
        (z >> 1) as i64
    } else {
        -((z >> 1) as i64) - 1
    }
}

fn split(scratch: &mut [u32], at: usize) -> Outcome<(&mut [u32], &mut [u32])> {
    if at > scratch.len() {
        return Err(ErrorCode::InvalidArgument);
    }
    Ok(scratch.split_at_mut(at))
}

fn fill_short(short: &mut [u32], count: &[u32; 17], sorted: &[u32]) {
    short.fill(0);
    let mut code = 0u32;
    let mut place = 0;
    for length in 1..=SHORT {
        code *= 2;
        for _ in 0..count[length as usize] {
            let symbol = sorted.get(place).copied().unwrap_or(0);
            let reversed = code.reverse_bits() >> (32 - length);
            for entry in short.iter_mut().skip(reversed as usize).step_by(1 << length) {
                *entry = symbol << 5 | length;
            }
            code += 1;
            place += 1;
        }
    }
}
