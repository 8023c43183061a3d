//! Adaptive codecs of format 1.1: bits coded with probabilities that both sides learn.

mod coder;
mod gap;
mod index;
mod label;
mod mixing;

pub(crate) use index::{groups as index_groups, memory as index_memory, plain as index_plain};
pub(crate) use label::{groups as label_groups, memory as label_memory, plain as label_plain};

/// log4 of SPEC.md 5.7: the position of the leading bit and the two bits behind it; `value` >= 1.
fn log4(value: u64) -> u32 {
    let e = log2(value);
    let two = if e >= 2 { value >> (e - 2) } else { value << (2 - e) };
    4 * e + (two & 3) as u32
}

/// floor(log2 `value`); `value` >= 1.
fn log2(value: u64) -> u32 {
    63 - value.max(1).leading_zeros()
}

/// Length of the last stretches of gaps, to notice one that is much longer.
#[derive(Default)]
struct Recent {
    seen: u64,
    total: u64,
}

impl Recent {
    /// floor(total / seen), if anything was seen.
    fn mean(&self) -> Option<u64> {
        self.total.checked_div(self.seen)
    }

    /// Take a step into account; true if it is above `factor` times the mean plus `more`, which begins anew.
    fn step(&mut self, step: u64, factor: u64, more: u64) -> bool {
        if self.seen > 2 && step > factor * (self.total / self.seen) + more {
            *self = Self::default();
            return true;
        }
        self.seen += 1;
        self.total += step;
        if self.seen > 64 {
            self.seen >>= 1;
            self.total >>= 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDICES: [u32; 6] = [3, 4, 5, 17, 18, 31];
    const LABELS: [u16; 6] = [2, 2, 0, 1, 1, 2];
    const STARTS: [u32; 4] = [0, 8, 16, 30];

    #[test]
    fn quarter_logarithms() {
        assert_eq!([1, 2, 3, 4, 5, 7, 8].map(log4), [0, 4, 6, 8, 9, 11, 12]);
        assert_eq!(log4((1 << 35) + (1 << 34)), 4 * 35 + 2);
    }

    #[test]
    fn worked_examples_of_indices() {
        let mut states = vec![0xABCD; index_memory()];
        for stream in [[0x5e, 0x6d, 0xfb], [0xcc, 0xd8, 0x19]] {
            let mut out = [0; 6];
            assert_eq!(index_plain(&stream, 40, &mut out, &mut states), Ok(()));
            assert_eq!(out, INDICES);
        }
        let mut out = [0; 6];
        let stream = [0x0b, 0x1a, 0xfb, 0x93, 0x4a];
        assert_eq!(index_groups(&stream, 40, &STARTS, &mut out, &mut states), Ok(()));
        assert_eq!(out, INDICES);
    }

    #[test]
    fn worked_examples_of_labels() {
        let (states, words) = label_memory(3);
        let (mut states, mut scratch) = (vec![0xABCD; states], vec![0xABCD; words]);
        for stream in [&[0x64, 0x30, 0x82][..], &[0xca, 0xf0]] {
            let mut out = [0; 6];
            assert_eq!(label_plain(stream, 3, &INDICES, &mut out, &mut states, &mut scratch), Ok(()));
            assert_eq!(out, LABELS);
        }
        let mut out = [0; 6];
        let stream = [0xc8, 0x50];
        assert_eq!(label_groups(&stream, 3, &INDICES, &STARTS, &mut out, &mut states, &mut scratch), Ok(()));
        assert_eq!(out, LABELS);
    }
}
