//! Index codecs (SPEC.md section 6).

use crate::bits::Bits;
use crate::block::Block;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};
use crate::rans::{Frequencies, Rans, Table};

/// Classes of gaps in 6.4.
pub(crate) const CLASSES: u32 = 124;

/// 6.1; also the content of 6.6.
pub(crate) fn bitmap(bytes: &[u8], pool_size: u32, out: &mut [u32]) -> Outcome<()> {
    let need = bitmap_bytes(pool_size);
    if bytes.len() < need {
        return Err(ErrorCode::StreamTruncated);
    }
    if bytes.len() > need {
        return Err(ErrorCode::StreamOverlong);
    }
    let bits = Bits(bytes);
    bits.padding(u64::from(pool_size))?;
    let mut to = out.iter_mut();
    let mut at = 0u64;
    while at < bits.len() {
        let mut word = bits.peek(at);
        while word != 0 {
            // below the pool size, as the padding is zero
            let index = at + u64::from(word.trailing_zeros());
            *to.next().ok_or(ErrorCode::IndexRange)? = index as u32;
            word &= word - 1;
        }
        at += 64;
    }
    match to.next() {
        None => Ok(()),
        Some(_) => Err(ErrorCode::IndexRange),
    }
}

/// ceil(N / 8).
pub(crate) const fn bitmap_bytes(pool_size: u32) -> usize {
    (pool_size / 8) as usize + (pool_size % 8 != 0) as usize
}

/// Indices from their gaps: the place of the next image, which stays right beyond 32 bits.
struct Places {
    next: u64,
    pool_size: u64,
}

impl Places {
    const fn new(pool_size: u32) -> Self {
        Self { next: 0, pool_size: pool_size as u64 }
    }

    /// Index behind a gap; any number if that is too large. At most 2^32 gaps below 2^32 do not overflow.
    #[inline]
    fn after(&mut self, gap: u32) -> u32 {
        let index = self.next + u64::from(gap);
        self.next = index + 1;
        index as u32
    }

    /// Whether all indices were below the pool size.
    fn check(&self) -> Outcome<()> {
        if self.next > self.pool_size {
            return Err(ErrorCode::IndexRange);
        }
        Ok(())
    }
}

/// 6.2.
pub(crate) fn golomb(mut stream: Bytes<'_>, pool_size: u32, out: &mut [u32]) -> Outcome<()> {
    let mut block = Block::open(&mut stream, out.len() as u32)?;
    let mut places = Places::new(pool_size);
    for index in out {
        *index = places.after(block.value()?);
    }
    block.finish(&mut stream)?;
    stream.end()?;
    places.check()
}

/// 6.3.
pub(crate) fn runs(mut stream: Bytes<'_>, pool_size: u32, out: &mut [u32]) -> Outcome<()> {
    let count = out.len() as u32;
    let runs = stream.varint()?;
    if runs < 1 || runs > count {
        return Err(ErrorCode::Parameter);
    }
    // first all checks of the streams, then the same values again
    let mut skips = Block::open(&mut stream, runs)?;
    let mut block = skips;
    for _ in 0..runs {
        block.value()?;
    }
    block.finish(&mut stream)?;
    let mut lengths = None;
    let mut before_last = 0;
    if runs >= 2 {
        let first = Block::open(&mut stream, runs - 1)?;
        let mut block = first;
        for _ in 1..runs {
            before_last += u64::from(block.value()?) + 1;
        }
        block.finish(&mut stream)?;
        lengths = Some(first);
    }
    stream.end()?;
    if before_last >= u64::from(count) {
        return Err(ErrorCode::IndexRange);
    }
    let mut rest = out;
    let mut next = 0u64;
    for run in 0..runs {
        next += u64::from(skips.value()?) + u64::from(run > 0);
        let length = match &mut lengths {
            Some(block) if run + 1 < runs => block.value()? as usize + 1,
            _ => rest.len(),
        };
        let (now, later) = rest.split_at_mut(length.min(rest.len()));
        for (index, place) in now.iter_mut().zip(next..) {
            *index = place as u32;
        }
        next += length as u64;
        rest = later;
    }
    if next > u64::from(pool_size) {
        return Err(ErrorCode::IndexRange);
    }
    Ok(())
}

/// Smallest gap of a class.
const fn lowest(class: u32) -> u32 {
    if class < 8 {
        class
    } else {
        (4 + class % 4) << (class / 4 - 1)
    }
}

/// Raw bits of a class.
const fn raw_bits(class: u32) -> u32 {
    if class < 8 {
        0
    } else {
        class / 4 - 1
    }
}

const HALVES: [u32; 17] = [
    65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768,
];

/// S(a) of 6.4: 65536 times the part of a geometric distribution that is `a` or more.
pub(crate) fn survivors(a: u32, half_life: u32) -> u32 {
    let z = (u64::from(a) << 20) / u64::from(half_life.max(1));
    if z >= 17 << 12 {
        return 0;
    }
    let i = (z >> 8 & 15) as usize;
    let t = (z & 255) as u32;
    (HALVES[i] - (((HALVES[i] - HALVES[i + 1]) * t) >> 8)) >> (z >> 12)
}

/// The table that one number describes.
fn geometric(half_life: u32, largest: u32, scratch: &mut [u32]) -> Outcome<Table<'_>> {
    let used = (0..CLASSES).take_while(|class| lowest(*class) <= largest).count() as u32;
    let cumulative =
        |class: u32| (((65_536 - survivors(lowest(class), half_life)) * (65_536 - used)) >> 16) + class;
    let mut class = 0;
    Table::build(scratch, 16, used, |last| {
        let end = if last { 65_536 } else { cumulative(class + 1) };
        let found = (class, end - cumulative(class));
        class += 1;
        Ok(found)
    })
}

/// The classes of 6.4.
#[allow(clippy::large_enum_variant)] // one of them exists at a time, on the stack
#[derive(Clone, Copy)]
enum Coded<'a, 's> {
    Same(u32),
    Rans(Rans<'a, 's>),
}

impl Coded<'_, '_> {
    #[inline]
    fn class(&mut self) -> Outcome<u32> {
        match self {
            Self::Same(class) => Ok(*class),
            Self::Rans(rans) => rans.symbol(),
        }
    }
}

/// 6.4.
pub(crate) fn rans(mut stream: Bytes<'_>, pool_size: u32, out: &mut [u32], scratch: &mut [u32]) -> Outcome<()> {
    let kept = out.len() as u32;
    let dense = u64::from(kept) * 2 > u64::from(pool_size);
    let count = if dense { pool_size - kept } else { kept };
    let half_life = stream.varint()?;
    let coded = if half_life == 0 {
        match Frequencies::open(&mut stream, CLASSES, scratch)? {
            Frequencies::Single(class) => Coded::Same(class),
            Frequencies::Several(table) => Coded::Rans(Rans::open(&stream, table, count)?),
        }
    } else {
        let table = geometric(half_life, pool_size - count, scratch)?;
        Coded::Rans(Rans::open(&stream, table, count)?)
    };
    // Once through all classes, to find where the raw bits start and end; a sparse set keeps them meanwhile.
    let mut classes = coded;
    let mut raw = 0;
    if dense {
        for _ in 0..count {
            raw += u64::from(raw_bits(classes.class()?));
        }
    } else {
        for class in out.iter_mut() {
            *class = classes.class()?;
            raw += u64::from(raw_bits(*class));
        }
    }
    if let Coded::Rans(rans) = &classes {
        rans.finish(&mut stream)?;
    }
    let bits = Bits(stream.all());
    let mut at = stream.position() as u64 * 8;
    if at + raw > bits.len() {
        return Err(ErrorCode::StreamTruncated);
    }
    stream.seek(bits.padding(at + raw)?);
    stream.end()?;

    let mut places = Places::new(pool_size);
    let mut place = |class: u32| {
        let width = raw_bits(class);
        // lowest + raw stays below the next class, so below 2^32
        let gap = lowest(class) + bits.field(at, width);
        at += u64::from(width);
        places.after(gap)
    };
    if dense {
        let mut classes = coded;
        let mut rest = out;
        let mut next = 0;
        for _ in 0..count {
            let missing = place(classes.class()?);
            rest = consecutive(rest, next, missing.saturating_sub(next));
            next = missing.wrapping_add(1);
        }
        consecutive(rest, next, pool_size.saturating_sub(next));
    } else {
        for index in out {
            *index = place(*index);
        }
    }
    places.check()
}

/// Write up to `count` numbers from `first` on; returns what is left of the slice.
fn consecutive(out: &mut [u32], first: u32, count: u32) -> &mut [u32] {
    let (now, later) = out.split_at_mut((count as usize).min(out.len()));
    for (n, index) in now.iter_mut().enumerate() {
        *index = first.wrapping_add(n as u32);
    }
    later
}

/// Bytes of the content of a frame of 6.5, for its first byte; `None` if that byte is out of range.
#[cfg(feature = "zstd")]
pub(crate) fn delta_bytes(q: u8, count: u32) -> Option<u64> {
    let (layout, width) = (q >> 4, q & 15);
    match (layout, width) {
        (0, 1..=4) | (1, 2..=4) => Some(u64::from(width) * u64::from(count)),
        _ => None,
    }
}

/// What 6.5 makes of a frame's content, whose size is that of [`delta_bytes`].
#[cfg(feature = "zstd")]
pub(crate) fn delta(q: u8, content: &[u8], pool_size: u32, out: &mut [u32]) -> Outcome<()> {
    let width = usize::from(q & 15);
    let (per_gap, per_byte) = if q >> 4 == 0 { (1, out.len()) } else { (width, 1) };
    let mut places = Places::new(pool_size);
    let mut largest = 0;
    for (n, index) in out.iter_mut().enumerate() {
        let byte = |b: usize| content.get(n * per_gap + b * per_byte).copied().map_or(0, u32::from);
        let gap = (0..width).fold(0, |value, b| value | byte(b) << (8 * b));
        largest = largest.max(gap);
        *index = places.after(gap);
    }
    if width > 1 && largest >> (8 * (width - 1)) == 0 {
        return Err(ErrorCode::NonCanonical);
    }
    places.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_all_gaps() {
        for class in 0..CLASSES {
            let end = u64::from(lowest(class)) + (1 << raw_bits(class));
            let next = if class + 1 < CLASSES { u64::from(lowest(class + 1)) } else { 1 << 32 };
            assert_eq!(end, next, "class {class}");
        }
    }

    #[test]
    fn geometric_tables_have_no_empty_class() {
        let mut scratch = [0; 2 * CLASSES as usize];
        for half_life in [1, 2, 3, 100, 1092, 65_536, 1 << 20, 1 << 27, u32::MAX] {
            for largest in [1, 2, 7, 8, 9, 34, 1000, 1 << 20, u32::MAX - 1] {
                let used = (0..CLASSES).take_while(|class| lowest(*class) <= largest).count();
                let mut sum = 0;
                geometric(half_life, largest, &mut scratch).unwrap();
                for range in &scratch[..used] {
                    assert_eq!(range & 0xFFFF, sum);
                    assert!(range >> 16 > 0);
                    sum += range >> 16;
                }
                assert_eq!(sum, 65_536);
            }
        }
    }

    #[test]
    fn example_of_section_6_4() {
        let stream = [0xc4, 0x08, 0x86, 0x78, 0x15, 0x00, 0x70, 0x25, 0x01];
        for size in [248, 65_536 + 248] {
            let mut out = [0; 6];
            rans(Bytes::stream(&stream), 40, &mut out, &mut vec![0; size]).unwrap();
            assert_eq!(out, [3, 4, 5, 17, 18, 31]);
        }
    }
}
