//! Decisions whose probability is mixed from several adaptive states (SPEC.md 5.7).

use super::coder::Coder;
use crate::error::{ErrorCode, Outcome};

const LOGISTIC: [u32; 33] = [
    22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768, 40793, 47912, 53584, 57724,
    60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
];
const OBSERVED: [i32; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 36, 52, 84];
const LARGEST: i32 = 2047;
const WEIGHT: i32 = 262_143;

/// squash(x) at x + 2048.
static SQUASH: [u16; 4096] = squash_table();

const fn squash_table() -> [u16; 4096] {
    let mut out = [0; 4096];
    let mut at = 0;
    while at < 4096 {
        let (i, f) = (at >> 7, at as u32 & 127);
        let p = (LOGISTIC[i] * (128 - f) + LOGISTIC[i + 1] * f + 64) >> 7;
        out[at] = if p < 32 {
            32
        } else if p > 65_504 {
            65_504
        } else {
            p as u16
        };
        at += 1;
    }
    out
}

/// -2047 <= `x` <= 2047.
#[inline]
fn squash(x: i32) -> i32 {
    i32::from(SQUASH[(x + 2048) as usize & 4095])
}

/// Elements of the table of next states.
pub(crate) const NEXT: usize = 2 << 16;

/// The state that follows on each state (as `u16`) and bit.
pub(crate) struct Next<'s>(&'s [u16; NEXT]);

impl<'s> Next<'s> {
    /// Fill a slice of [`NEXT`] elements.
    pub(crate) fn build(slice: &'s mut [u16]) -> Outcome<Self> {
        let table = <&mut [u16; NEXT]>::try_from(slice).map_err(|_| ErrorCode::InvalidArgument)?;
        for (level, observed) in OBSERVED.iter().enumerate() {
            let rate = 65_536 * 5 / (5 * i64::from(*observed) + 8);
            let grows = OBSERVED.get(level + 1).map(|more| more - observed);
            // Both searches only move upwards, as the aims grow with x.
            let (mut up, mut down) = (-LARGEST, -LARGEST);
            for x in -LARGEST..=LARGEST {
                let p = squash(x);
                let aim = |bit: i64| i64::from(p) + (((65_535 * bit - i64::from(p)) * rate) >> 16);
                up = up.max(x);
                while up < LARGEST && i64::from(squash(up)) < aim(1) {
                    up += 1;
                }
                while down < x && i64::from(squash(down + 1)) <= aim(0) {
                    down += 1;
                }
                for (bit, x_next) in [down, up].into_iter().enumerate() {
                    let more = grows.map_or(0, |step| i32::from(x_next % step == 0));
                    let next = 16 * x_next + level as i32 + more;
                    table[2 * usize::from((16 * x + level as i32) as u16) + bit] = next as u16;
                }
            }
        }
        Ok(Self(table))
    }

    #[inline]
    fn after(&self, bit: u32, state: i16) -> i16 {
        self.0[2 * usize::from(state as u16) + (bit & 1) as usize] as i16
    }
}

/// A state of probability `p` / 65536.
pub(crate) fn state(p: u32, level: u16) -> u16 {
    let p = p.clamp(64, 65_472);
    // the smallest x of probability p or more; x = -2047 lies at 1
    let place = SQUASH[1..].partition_point(|q| u32::from(*q) < p) as i32;
    ((place - LARGEST) * 16) as u16 + level
}

/// A coder with the table that its states follow.
pub(crate) struct Mixer<'a, 's> {
    pub(crate) coder: Coder<'a>,
    next: Next<'s>,
}

impl<'a, 's> Mixer<'a, 's> {
    pub(crate) fn new(coder: Coder<'a>, next: Next<'s>) -> Self {
        Self { coder, next }
    }

    /// A decision; gives the bit and the states that follow.
    #[inline]
    pub(crate) fn mixed<const I: usize>(&mut self, weights: &mut [i32; I], states: [i16; I], shift: u32) -> (u32, [i16; I]) {
        let inputs = states.map(|s| i32::from(s) >> 4);
        // at most four products below 2^29
        let sum: i32 = weights.iter().zip(inputs).map(|(w, x)| w * x).sum();
        let p = squash((sum >> 16).clamp(-LARGEST, LARGEST));
        let bit = self.coder.bit(p as u32);
        let d = p - if bit == 1 { 65_536 } else { 0 };
        if d.abs() > 2000 {
            for (w, x) in weights.iter_mut().zip(inputs) {
                *w = (*w - ((d * x) >> shift)).clamp(-WEIGHT, WEIGHT);
            }
        }
        (bit, states.map(|s| self.next.after(bit, s)))
    }
}

/// r of 5.7 for image `number`.
pub(crate) const fn learning_shift(number: usize) -> u32 {
    match number {
        0..=255 => 14,
        256..=16_383 => 15,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_states_as_the_page_defines_them() {
        let mut table = vec![0; NEXT];
        let next = Next::build(&mut table).unwrap();
        assert_eq!([next.after(1, 0), next.after(0, 0), next.after(1, 6033), next.after(0, 6033)], [6033, -6031, 8386, 2]);
        for level in 0..16usize {
            for x in -2047..=2047 {
                let rate = 65_536 * 5 / (5 * i64::from(OBSERVED[level]) + 8);
                for bit in 0..2 {
                    let start = i64::from(squash(x));
                    let p = start + (65_535 * i64::from(bit) - start) * rate / 65_536
                        - i64::from((65_535 * i64::from(bit) - start) * rate % 65_536 < 0);
                    let mut y = x;
                    while bit == 1 && y < 2047 && i64::from(squash(y)) < p {
                        y += 1;
                    }
                    while bit == 0 && y > -2047 && i64::from(squash(y)) > p {
                        y -= 1;
                    }
                    let more = level < 15 && y % (OBSERVED[level + 1] - OBSERVED[level]) == 0;
                    let expected = 16 * y + level as i32 + i32::from(more);
                    assert_eq!(i32::from(next.after(bit, (16 * x + level as i32) as i16)), expected, "x {x} level {level}");
                }
            }
        }
    }

    #[test]
    fn states_of_probabilities() {
        for p in [0, 64, 65, 1000, 32_768, 32_769, 65_472, 65_536] {
            let x = i32::from(state(p, 5) as i16) >> 4;
            let p = p.clamp(64, 65_472) as i32;
            assert!(squash(x) >= p && (x == -2047 || squash(x - 1) < p));
            assert_eq!(state(p as u32, 5) & 15, 5);
        }
    }
}
