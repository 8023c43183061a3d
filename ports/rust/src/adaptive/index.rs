//! index-adaptive and index-adaptive-groups (SPEC.md 6.7, 6.8).

use super::coder::Coder;
use super::gap::gap;
use super::mixing::{learning_shift, state, Mixer, Next, NEXT};
use super::{log2, log4, Recent};
use crate::error::{ErrorCode, Outcome};
use crate::index::survivors;

const NODES: usize = 128;
const SHARED: usize = 1024;
const LAST: usize = 512;
const STATES: usize = (2 * SHARED + LAST) * NODES;

/// Elements of `u16` that both codecs take.
pub(crate) const fn memory() -> usize {
    STATES + NEXT
}

/// The three parts of the table of states, each with its context for the decisions to come.
struct Contexts<'s> {
    states: &'s mut [u16],
    rows: [usize; 3],
    weights: [[i32; 3]; NODES],
}

impl Contexts<'_> {
    fn select(&mut self, contexts: [u32; 3]) {
        let [a, b, c] = contexts.map(|context| context as usize);
        self.rows = [a, SHARED + b, 2 * SHARED + c].map(|row| row * NODES);
    }

    /// A decision at a node.
    #[inline]
    fn decide(&mut self, mixer: &mut Mixer<'_, '_>, node: u32, shift: u32) -> u32 {
        let node = node as usize % NODES;
        let places = self.rows.map(|row| row + node);
        let states = places.map(|place| self.states.get(place).map_or(0, |s| *s as i16));
        let (bit, after) = mixer.mixed(&mut self.weights[node], states, shift);
        for (place, next) in places.into_iter().zip(after) {
            if let Some(state) = self.states.get_mut(place) {
                *state = next as u16;
            }
        }
        bit
    }
}

fn split(memory: &mut [u16]) -> Outcome<(&mut [u16], Next<'_>)> {
    let (states, rest) = memory.get_mut(..STATES + NEXT).ok_or(ErrorCode::InvalidArgument)?.split_at_mut(STATES);
    Ok((states, Next::build(rest)?))
}

/// The kept images of a stretch of `size` images without structure, from `start` on.
fn unstructured(coder: &mut Coder<'_>, start: u64, size: u32, out: &mut [u32]) -> Outcome<()> {
    let mut left = size;
    let mut next = start;
    let mut to_come = out.len() as u32;
    for index in out {
        if left > to_come {
            let passed = gap(coder, left, to_come);
            if passed > u64::from(left - to_come) {
                return Err(ErrorCode::IndexRange);
            }
            next += passed;
            left -= passed as u32;
        }
        *index = next as u32;
        next += 1;
        left -= 1;
        to_come -= 1;
    }
    Ok(())
}

/// 6.7.
pub(crate) fn plain(stream: &[u8], pool_size: u32, out: &mut [u32], memory: &mut [u16]) -> Outcome<()> {
    let mut coder = Coder::open(stream)?;
    if coder.bit(32_768) == 0 {
        unstructured(&mut coder, 0, pool_size, out)?;
        return coder.end();
    }
    let (states, next) = split(memory)?;
    first_states(states);
    let mut contexts = Contexts { states, rows: [0; 3], weights: [[7000; 3]; NODES] };
    let mut mixer = Mixer::new(coder, next);
    let top = log2(u64::from(pool_size));
    let count = out.len() as u64;
    let mut last = log4(u64::from(pool_size) / count.max(1)).min(63) as i32;
    let (mut fast, mut middle, mut slow) = (256 * last, 256 * last, 256 * last);
    let mut recent = Recent::default();
    let mut place = 0u64;
    for (number, index) in out.iter_mut().enumerate() {
        let b = (middle >> 8) as u32;
        let third = match recent.mean() {
            None => 8 * b + 7,
            Some(mean) => 8 * log4(mean).min(63) + log2(recent.seen + 1).min(5),
        };
        contexts.select([b * 16 + (last >> 2) as u32, ((slow >> 8) * 16 + (fast >> 10)) as u32, third]);
        let shift = learning_shift(number);
        let mut decide = |node: u32| contexts.decide(&mut mixer, node, shift);
        let mut t = ((b + 2) >> 2).min(top.saturating_sub(1));
        if decide(3 * t) == 1 {
            t += 1;
            while t < top && decide(3 * t + 1) == 1 {
                t += 1;
            }
        } else {
            while t > 0 {
                t -= 1;
                if decide(3 * t + 2) == 1 {
                    t += 1;
                    break;
                }
            }
        }
        let mut step = 1;
        if t > 0 {
            let two = 2 + decide(96 + t);
            step = (u64::from(two) << (t - 1)) + u64::from(mixer.coder.raw(t - 1));
        }
        place += step; // one more than the index
        if place > u64::from(pool_size) {
            return Err(ErrorCode::IndexRange);
        }
        *index = (place - 1) as u32;
        last = log4(step).min(63) as i32;
        fast += (256 * last - fast) >> 2;
        middle += (256 * last - middle) >> 3;
        slow += (256 * last - slow) >> 5;
        recent.step(step, 8, 8);
    }
    mixer.coder.end()
}

/// First states of 6.7: those of geometric distributions.
fn first_states(states: &mut [u16]) {
    let (shared, last) = states.split_at_mut(2 * SHARED * NODES);
    for q in 0..64 {
        let mut row = [0; NODES];
        for (node, first) in row.iter_mut().enumerate() {
            *first = state(first_chance(q, node as u32), 8);
        }
        for context in last.chunks_exact_mut(NODES).skip(8 * q as usize).take(8) {
            context.copy_from_slice(&row);
        }
        if q % 4 == 2 {
            for context in shared.chunks_exact_mut(NODES).skip(q as usize / 4).step_by(16) {
                context.copy_from_slice(&row);
            }
        }
    }
}

fn first_chance(q: u32, node: u32) -> u32 {
    let half_life = (355 * (((18 + 4 * (q % 4)) << (q >> 2)) - 8)) >> 5;
    let s = |a: u32| u64::from(survivors(a, half_life));
    let t = node / 3;
    let chance = match (node, node % 3) {
        (97.., _) => {
            let s = s(1 << (node - 97));
            65_536 * s / (65_536 + s)
        }
        (96, _) => 32_768, // not used
        (_, 0) => s(ones(t + 1)),
        (_, 1) => s(1 << t),
        _ => 65_536 * (s(ones(t + 1)) - s(ones(t + 2))) / (65_536 - s(ones(t + 2))).max(1),
    };
    chance as u32
}

/// 2^n - 1. For n = 33, where the page means 2^33 - 1, 2^32 - 1 is as good: no survivors are left there either.
fn ones(n: u32) -> u32 {
    ((1u64 << n) - 1).min(u64::from(u32::MAX)) as u32
}

/// 6.8.
pub(crate) fn groups(stream: &[u8], pool_size: u32, starts: &[u32], out: &mut [u32], memory: &mut [u16]) -> Outcome<()> {
    let coder = Coder::open(stream)?;
    let (states, next) = split(memory)?;
    states.fill(0);
    for (context, nodes) in (0u64..).zip(states.chunks_exact_mut(NODES)) {
        let c = context % SHARED as u64;
        let e = if context < 2 * SHARED as u64 { c / 16 } else { 4 * (c % 16) + 2 };
        let m = (4 + e % 4) << (e >> 2);
        if let Some(first) = nodes.first_mut() {
            *first = state((65_536 * m / (m + 8192)) as u32, 5);
        }
    }
    let mut contexts = Contexts { states, rows: [0; 3], weights: [[16_000; 3]; NODES] };
    let mut mixer = Mixer::new(coder, next);
    let distance = |images: u64, kept: u64| log4(8 * images / kept.max(1)).saturating_sub(12).min(63) as i32;
    let mut last = distance(u64::from(pool_size), out.len() as u64);
    let (mut fast, mut middle, mut slow) = (256 * last, 256 * last, 256 * last);
    let mut rest = out;
    for (number, start) in starts.iter().enumerate() {
        let to_come = rest.len() as u64;
        if to_come == 0 {
            break;
        }
        let end = starts.get(number + 1).copied().unwrap_or(pool_size);
        let size = end.saturating_sub(*start);
        let ahead = u64::from(pool_size.saturating_sub(*start));
        let count = if to_come >= ahead {
            u64::from(size)
        } else {
            let q = log4(u64::from(size)) as i32;
            let expected = |m: i32| (q - m + 24).clamp(0, 63);
            let near = expected(last) >> 2;
            contexts.select([
                (expected(middle >> 8) * 16 + near) as u32,
                (expected(slow >> 8) * 16 + (expected(fast >> 8) >> 2)) as u32,
                ((q >> 2) * 16 + near) as u32,
            ]);
            let count = read_count(&mut mixer, &mut contexts, size)?;
            let after = ahead - u64::from(size);
            if count > u64::from(size) || count > to_come || to_come - count > after {
                return Err(ErrorCode::IndexRange);
            }
            count
        };
        let (now, later) = rest.split_at_mut((count as usize).min(rest.len()));
        unstructured(&mut mixer.coder, u64::from(*start), size, now)?;
        rest = later;
        last = match count {
            0 => (log4(u64::from(size)) + 4).min(63) as i32,
            _ => distance(u64::from(size), count),
        };
        fast += (256 * last - fast) >> 1;
        middle += (256 * last - middle) >> 2;
        slow += (256 * last - slow) >> 4;
    }
    mixer.coder.end()
}

/// How many images of a group are kept.
fn read_count(mixer: &mut Mixer<'_, '_>, contexts: &mut Contexts<'_>, size: u32) -> Outcome<u64> {
    let mut decide = |node: u32| contexts.decide(mixer, node, 15);
    let top = log2(u64::from(size) + 1).min(31);
    let mut t = 0;
    while t < top && decide(t) == 1 {
        t += 1;
    }
    let mut value = 1u64;
    let mut node = 32 + 3 * t;
    for _ in 0..t.min(2) {
        let bit = decide(node);
        value = 2 * value + u64::from(bit);
        node += 1 + bit;
    }
    if t > 2 {
        value = (value << (t - 2)) + u64::from(mixer.coder.raw(t - 2));
    }
    Ok(value - 1)
}
