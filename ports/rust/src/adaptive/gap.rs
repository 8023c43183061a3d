//! Gaps in a set without structure (SPEC.md 5.8).

use super::coder::Coder;

const UNIT: u64 = 1 << 26;

/// Probability, in parts of 2^26, that so many of the places are free.
fn survival(mut n: u64, mut k: u64, t: u32) -> u64 {
    if t == 0 {
        while n >= 1 << 26 {
            n >>= 1;
            k >>= 1;
        }
        return n.saturating_sub(k) * UNIT / n.max(1);
    }
    n >>= t;
    while n >= 1 << 25 {
        n >>= 1;
        k >>= 1;
    }
    (2 * n).saturating_sub(k) * UNIT / (2 * n + k).max(1)
}

/// How many of `n` images are passed over before the first of `k` kept ones, 1 <= k < n. May exceed n - k on corrupt
/// streams.
pub(crate) fn gap(coder: &mut Coder<'_>, n: u32, k: u32) -> u64 {
    let (mut n, k) = (u64::from(n), u64::from(k));
    if k <= 1 {
        return one_of(coder, n);
    }
    let mut value = 0;
    while n > k {
        let width = 63 - ((n - (n >> 2)) / k).max(1).leading_zeros();
        let half = (1u64 << width) >> 1;
        let first = width.saturating_sub(6);
        let mut r = survival(n - half, k, first);
        for _ in first..width {
            r = r * r / UNIT;
        }
        if coder.bit(((r >> 10) as u32).clamp(32, 65_504)) == 0 {
            return value + below(coder, n, k, width);
        }
        value += 1 << width;
        n -= 1 << width;
    }
    value
}

/// The place of a single image among `n` that are all alike.
fn one_of(coder: &mut Coder<'_>, n: u64) -> u64 {
    let mut s = 0;
    while (n - 1) >> s > 65_535 {
        s += 1;
    }
    (u64::from(coder.number(((n - 1) >> s) as u32 + 1)) << s) + u64::from(coder.raw(s))
}

/// The gap where it is below 2^`width`.
fn below(coder: &mut Coder<'_>, n: u64, k: u64, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let first = width.saturating_sub(6);
    let mut r = [0; 7];
    r[0] = survival(n - 1 - ((1u64 << width) >> 1), k - 1, first);
    for t in 1..r.len() {
        r[t] = r[t - 1] * r[t - 1] / UNIT;
    }
    let mut low = 0;
    for t in (first..width).rev() {
        let chance = r[(t - first) as usize % r.len()];
        low = 2 * low + u64::from(coder.bit((chance * 65_536 / (UNIT + chance)).max(1) as u32));
    }
    (low << first) + u64::from(coder.raw(first))
}
