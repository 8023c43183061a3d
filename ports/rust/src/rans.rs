//! Static rANS and its transmitted table (SPEC.md 5.4).

use crate::block::Block;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};
use crate::symbols::Symbols;

/// Words of scratch for an alphabet of so many symbols: for a look-up per slot, and for a search instead.
pub(crate) const fn scratch(alphabet: u32) -> (usize, usize) {
    (2 * alphabet as usize + (1 << 16), 2 * alphabet as usize)
}

/// Frequencies of two symbols or more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'s> {
    precision: u32,
    /// Frequency * 2^16 + cumulative frequency, both below 2^16.
    ranges: &'s [u32],
    symbols: &'s [u32],
    /// Place in `ranges` of every slot; empty if the scratch was too short for it.
    slots: &'s [u32],
}

/// What a transmitted table says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frequencies<'s> {
    Single(u32),
    Several(Table<'s>),
}

impl<'s> Frequencies<'s> {
    /// `table(A)`.
    pub(crate) fn open(stream: &mut Bytes<'_>, alphabet: u32, scratch: &'s mut [u32]) -> Outcome<Self> {
        let mut set = Symbols::open(stream, alphabet)?;
        let used = set.count;
        if used == 1 {
            return Ok(Self::Single(set.symbol()?));
        }
        let precision = u32::from(stream.u8()?);
        if !(1..=16).contains(&precision) || 1 << precision < used {
            return Err(ErrorCode::Parameter);
        }
        let all = 1u64 << precision;
        let values = Block::open(stream, used - 1)?;
        let mut block = values;
        let mut sum = 0;
        for _ in 1..used {
            sum += u64::from(block.value()?) + 1;
        }
        block.finish(stream)?;
        if sum >= all {
            return Err(ErrorCode::Table);
        }
        let mut block = values;
        let table = Table::build(scratch, precision, used, |last| {
            let symbol = set.symbol()?;
            let frequency = if last { (all - sum) as u32 } else { block.value()?.wrapping_add(1) };
            Ok((symbol, frequency))
        })?;
        Ok(Self::Several(table))
    }
}

impl<'s> Table<'s> {
    /// A table of `used` symbols; `next` gives symbol and frequency of each and is told when it is the last.
    /// The frequencies must sum to 2^`precision`.
    pub(crate) fn build<F>(scratch: &'s mut [u32], precision: u32, used: u32, mut next: F) -> Outcome<Self>
    where
        F: FnMut(bool) -> Outcome<(u32, u32)>,
    {
        let used = used as usize;
        if scratch.len() < 2 * used {
            return Err(ErrorCode::InvalidArgument);
        }
        let (ranges, rest) = scratch.split_at_mut(used);
        let (symbols, rest) = rest.split_at_mut(used);
        let slots = rest.get_mut(..1 << precision).unwrap_or(&mut []);
        let mut cumulative = 0u32;
        for (place, (range, symbol)) in ranges.iter_mut().zip(symbols.iter_mut()).enumerate() {
            let (name, frequency) = next(place + 1 == used)?;
            *symbol = name;
            *range = frequency << 16 | cumulative;
            let from = cumulative as usize;
            cumulative += frequency;
            if let Some(mine) = slots.get_mut(from..cumulative as usize) {
                mine.fill(place as u32);
            }
        }
        Ok(Self { precision, ranges, symbols, slots })
    }
}

/// The states and words, and the position in them. A copy made before the first symbol reads them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rans<'a, 's> {
    table: Table<'s>,
    words: &'a [u8],
    at: usize,
    lanes: [u32; 64],
    last_lane: usize,
    number: usize,
}

impl<'a, 's> Rans<'a, 's> {
    /// Check the states; `count` >= 1 symbols follow.
    pub(crate) fn open(stream: &Bytes<'a>, table: Table<'s>, count: u32) -> Outcome<Self> {
        let used: usize = match count {
            0..=65_535 => 1,
            65_536..=131_071 => 32,
            _ => 64,
        };
        let mut stream = *stream;
        let mut states = Bytes::stream(stream.take(4 * used)?);
        let mut lanes = [0; 64];
        for lane in &mut lanes[..used] {
            *lane = states.u32()?;
        }
        if lanes[..used].iter().any(|x| *x < 1 << 16) {
            return Err(ErrorCode::CoderState);
        }
        Ok(Self { table, words: stream.all(), at: stream.position(), lanes, last_lane: used - 1, number: 0 })
    }

    /// The next symbol.
    #[inline]
    pub(crate) fn symbol(&mut self) -> Outcome<u32> {
        let table = &self.table;
        let lane = &mut self.lanes[self.number & self.last_lane & 63];
        self.number = self.number.wrapping_add(1);
        let slot = *lane & ((1 << table.precision) - 1);
        let place = match table.slots.get(slot as usize) {
            Some(place) => *place as usize,
            None => table.ranges.partition_point(|range| range & 0xFFFF <= slot) - 1,
        };
        // both are there: the ranges cover all slots
        let range = table.ranges.get(place).copied().unwrap_or(0);
        let symbol = table.symbols.get(place).copied().unwrap_or(0);
        // below 2^32, as slot - cumulative < frequency < 2^precision
        let mut x = (range >> 16) * (*lane >> table.precision) + slot - (range & 0xFFFF);
        if x < 1 << 16 {
            match self.words.get(self.at..self.at + 2) {
                Some(two) => x = x << 16 | u32::from(two[1]) << 8 | u32::from(two[0]),
                None => return Err(ErrorCode::StreamTruncated),
            }
            self.at += 2;
        }
        *lane = x;
        Ok(symbol)
    }

    /// After the last symbol: the final states, and the stream behind the words.
    pub(crate) fn finish(&self, stream: &mut Bytes<'a>) -> Outcome<()> {
        if self.lanes[..=self.last_lane].iter().any(|x| *x != 1 << 16) {
            return Err(ErrorCode::CoderState);
        }
        stream.seek(self.at);
        Ok(())
    }
}
