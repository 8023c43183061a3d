//! label-adaptive and label-adaptive-groups (SPEC.md 7.6, 7.7).

use super::coder::Coder;
use super::mixing::{learning_shift, Mixer, Next, NEXT};
use super::{log2, Recent};
use crate::error::{ErrorCode, Outcome};

const HASHED: usize = 1 << 18;
const GAPS: usize = 12;
const SITUATIONS: usize = 128 * GAPS;
const WEIGHT: i32 = 18_000;

/// Elements of `u16` and words of scratch that both codecs take for so many classes.
pub(crate) const fn memory(classes: u32) -> (usize, usize) {
    (HASHED + SITUATIONS + NEXT + 2 * classes as usize, 3 * classes as usize)
}

/// 7.6.
pub(crate) fn plain(
    stream: &[u8],
    classes: u32,
    indices: &[u32],
    out: &mut [u16],
    memory: &mut [u16],
    scratch: &mut [u32],
) -> Outcome<()> {
    let mut coder = Coder::open(stream)?;
    if coder.bit(32_768) == 0 {
        frequencies(&mut coder, classes, out, scratch)?;
        return coder.end();
    }
    mixed_contexts(coder, classes, indices, None, out, memory, scratch)
}

/// 7.7.
pub(crate) fn groups(
    stream: &[u8],
    classes: u32,
    indices: &[u32],
    starts: &[u32],
    out: &mut [u16],
    memory: &mut [u16],
    scratch: &mut [u32],
) -> Outcome<()> {
    mixed_contexts(Coder::open(stream)?, classes, indices, Some(starts), out, memory, scratch)
}

/// Three tables with a word for each class.
fn tables(scratch: &mut [u32], classes: u32) -> Outcome<[&mut [u32]; 3]> {
    let classes = classes as usize;
    let (one, rest) = scratch.get_mut(..3 * classes).ok_or(ErrorCode::InvalidArgument)?.split_at_mut(classes);
    let (two, three) = rest.split_at_mut(classes);
    Ok([one, two, three])
}

/// Mode 0.
fn frequencies(coder: &mut Coder<'_>, classes: u32, out: &mut [u16], scratch: &mut [u32]) -> Outcome<()> {
    let [ones, both, _] = tables(scratch, classes)?;
    ones.fill(0);
    both.fill(0);
    for label in out {
        let mut node = 1;
        while node < classes {
            // in range: node < classes
            let (ones, both) = match (ones.get_mut(node as usize), both.get_mut(node as usize)) {
                (Some(ones), Some(both)) => (ones, both),
                _ => return Err(ErrorCode::InvalidArgument),
            };
            let bit = coder.bit(((2 * *ones + 1) * 32_768 / (*both + 1)).clamp(32, 65_504));
            if *both == 65_535 {
                *ones >>= 1;
                *both >>= 1;
            }
            *ones += bit;
            *both += 1;
            node = 2 * node + bit;
        }
        *label = (node - classes) as u16;
    }
    Ok(())
}

const fn hash(a: u32, b: u32, c: u32) -> usize {
    let sum = a.wrapping_mul(40_503).wrapping_add(b.wrapping_mul(60_493)).wrapping_add(c.wrapping_mul(7919));
    (((sum as u64 * 1_540_483) >> 8) & (HASHED as u64 - 1)) as usize
}

/// Decaying counts of the labels, and the two that lead.
///
/// A walk through all scores at each [`Scores::rescale`] would cost A steps for a few labels: those of the two leaders are
/// shifted at once, another one when its label comes next.
struct Scores<'s> {
    of: &'s mut [u32],
    /// `shifts` when the score was last brought up to date.
    dates: &'s mut [u32],
    /// How often scores were to be shifted.
    shifts: u32,
    first: u32,
    second: u32,
    gain: u32,
}

impl<'s> Scores<'s> {
    fn new(of: &'s mut [u32], dates: &'s mut [u32]) -> Self {
        of.fill(0);
        dates.fill(0);
        Self { of, dates, shifts: 0, first: 0, second: 1, gain: 256 }
    }

    /// The score of a label, up to date.
    fn get(&mut self, label: u32) -> u32 {
        let place = label as usize;
        match (self.of.get_mut(place), self.dates.get_mut(place)) {
            (Some(score), Some(date)) => {
                *score = match self.shifts - *date {
                    0 => *score,
                    1 => *score >> 16,
                    _ => 0, // scores are below 2^29
                };
                *date = self.shifts;
                *score
            }
            _ => 0,
        }
    }

    fn rescale(&mut self) {
        if self.gain > 1 << 24 {
            self.gain >>= 16;
            self.shifts += 1;
            self.get(self.first);
            self.get(self.second);
        }
    }

    fn begin_stretch(&mut self) {
        self.gain *= 8;
        self.rescale();
    }

    fn count(&mut self, label: u32) {
        let mine = self.get(label) + self.gain;
        if let Some(score) = self.of.get_mut(label as usize) {
            *score = mine;
        }
        if label != self.first {
            if mine > self.get(self.first) {
                self.second = self.first;
                self.first = label;
            } else if label != self.second && mine > self.get(self.second) {
                self.second = label;
            }
        }
        self.gain += self.gain >> 4;
        self.rescale();
    }
}

/// Where in the pool's order a stretch of labels begins.
enum Stretches<'g> {
    /// After gaps that are much longer than those before.
    Gaps(Recent),
    /// With the pool's groups; how many images of this one were seen.
    Groups { later: &'g [u32], inside: u64 },
}

impl Stretches<'_> {
    /// Whether a stretch begins at `index`, whose predecessor lies `step` before; and the class of the gap.
    fn step(&mut self, index: u32, step: u64) -> (bool, usize) {
        let (begins, gap) = match self {
            Self::Gaps(recent) => (recent.step(step, 3, 32), step),
            Self::Groups { later, inside } => {
                let passed = later.partition_point(|start| *start <= index);
                *later = later.get(passed..).unwrap_or(&[]);
                *inside = if passed > 0 { 1 } else { *inside + 1 };
                (passed > 0, *inside)
            }
        };
        (begins, log2(gap).min(GAPS as u32 - 1) as usize)
    }
}

/// The states of the tree's nodes; U is forgotten where a stretch begins.
struct Node<'n> {
    kept: &'n mut u16,
    fleeting: &'n mut u16,
}

/// Mode 1 of 7.6, and 7.7.
fn mixed_contexts(
    coder: Coder<'_>,
    classes: u32,
    indices: &[u32],
    starts: Option<&[u32]>,
    out: &mut [u16],
    memory: &mut [u16],
    scratch: &mut [u32],
) -> Outcome<()> {
    let size = classes as usize;
    let memory = memory.get_mut(..self::memory(classes).0).ok_or(ErrorCode::InvalidArgument)?;
    let (next, memory) = memory.split_at_mut(NEXT);
    let mut mixer = Mixer::new(coder, Next::build(next)?);
    memory.fill(0);
    let (hashed, memory) = memory.split_at_mut(HASHED);
    let (situations, memory) = memory.split_at_mut(SITUATIONS);
    let (kept, fleeting) = memory.split_at_mut(size);
    let [stamps, scores, dates] = tables(scratch, classes)?;
    stamps.fill(u32::MAX);
    let mut scores = Scores::new(scores, dates);
    let mut by_depth = [[WEIGHT; 4]; 16];
    let mut question = [WEIGHT; 3];
    let mut stretches = match starts {
        None => Stretches::Gaps(Recent::default()),
        Some(starts) => Stretches::Groups { later: starts.get(1..).unwrap_or(&[]), inside: 0 },
    };
    let (mut p1, mut p2, mut p3) = (0, 0, 0);
    let mut w = 0i16;
    let mut stretch = 0u32;
    let mut after = 0u64; // the index behind the last one
    for (number, (label, index)) in out.iter_mut().zip(indices).enumerate() {
        let (begins, gap) = stretches.step(*index, u64::from(*index) + 1 - after);
        after = u64::from(*index) + 1;
        if begins {
            stretch = number as u32;
            w = 0;
            scores.begin_stretch();
        }
        let first = scores.first;
        let share = (scores.get(first) / scores.gain.max(1)).min(15) as usize;
        let same = 4 * usize::from(p1 == first) + 2 * usize::from(p2 == first) + usize::from(p3 == first);
        let shift = learning_shift(number);
        let at = hash(first, p1, u32::from(p2 == first));
        let situation = (same * 16 + share) * GAPS + gap;
        let (hit, next) = mixer.mixed(&mut question, [get(hashed, at), get(situations, situation), w], shift);
        put(hashed, at, next[0]);
        put(situations, situation, next[1]);
        w = next[2];
        let found = if hit == 1 {
            first
        } else {
            let b = hash(first, scores.second, 3);
            let c = hash(first, 0, 4);
            let mut node = 1;
            for weights in &mut by_depth {
                let place = node as usize;
                let at = [(b + place) % HASHED, (c + place) % HASHED];
                let states = match (stamps.get_mut(place), kept.get_mut(place), fleeting.get_mut(place)) {
                    (Some(stamp), Some(kept), Some(fleeting)) => {
                        if *stamp != stretch {
                            *stamp = stretch;
                            *fleeting = 0;
                        }
                        Node { kept, fleeting }
                    }
                    _ => break, // a leaf
                };
                let inputs = [get(hashed, at[0]), get(hashed, at[1]), *states.kept as i16, *states.fleeting as i16];
                let (bit, next) = mixer.mixed(weights, inputs, shift);
                put(hashed, at[0], next[0]);
                put(hashed, at[1], next[1]);
                *states.kept = next[2] as u16;
                if *states.kept & 15 == 8 {
                    *states.kept -= 1;
                }
                *states.fleeting = next[3] as u16;
                node = 2 * node + bit;
            }
            let found = node - classes;
            if found == first {
                return Err(ErrorCode::NonCanonical);
            }
            found
        };
        *label = found as u16;
        scores.count(found);
        p3 = p2;
        p2 = p1;
        p1 = found;
    }
    mixer.coder.end()
}

#[inline]
fn get(states: &[u16], at: usize) -> i16 {
    states.get(at).map_or(0, |s| *s as i16)
}

#[inline]
fn put(states: &mut [u16], at: usize, state: i16) {
    if let Some(to) = states.get_mut(at) {
        *to = state as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page's own way, which walks through all scores.
    struct Plain {
        of: Vec<u32>,
        first: u32,
        second: u32,
        gain: u32,
    }

    impl Plain {
        fn rescale(&mut self) {
            if self.gain > 1 << 24 {
                self.gain >>= 16;
                self.of.iter_mut().for_each(|score| *score >>= 16);
            }
        }

        fn count(&mut self, label: u32) {
            let at = |label: u32| label as usize;
            self.of[at(label)] += self.gain;
            if label != self.first {
                if self.of[at(label)] > self.of[at(self.first)] {
                    self.second = self.first;
                    self.first = label;
                } else if label != self.second && self.of[at(label)] > self.of[at(self.second)] {
                    self.second = label;
                }
            }
            self.gain += self.gain >> 4;
            self.rescale();
        }
    }

    #[test]
    fn late_shifts_change_nothing() {
        let mut state = 3u64;
        for classes in [2u32, 3, 40] {
            let (mut of, mut dates) = (vec![9; 40], vec![9; 40]);
            let mut scores = Scores::new(&mut of[..classes as usize], &mut dates[..classes as usize]);
            let mut plain = Plain { of: vec![0; 40], first: 0, second: 1, gain: 256 };
            for _ in 0..20_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let random = (state >> 33) as u32;
                if random % 7 == 0 {
                    scores.begin_stretch();
                    plain.gain *= 8;
                    plain.rescale();
                }
                let label = (random >> 8) % classes.min(1 + (random >> 20) % 40);
                scores.count(label);
                plain.count(label);
                assert_eq!((scores.first, scores.second, scores.gain), (plain.first, plain.second, plain.gain));
                assert_eq!(scores.get(scores.first), plain.of[plain.first as usize]);
            }
        }
    }
}
