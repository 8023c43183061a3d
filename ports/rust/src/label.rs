//! Label codecs (SPEC.md section 7).

use crate::bits::Bits;
use crate::block::Block;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};
use crate::huffman::Huffman;
use crate::rans::{Frequencies, Rans};

/// Takes decoded symbols one after the other.
pub(crate) trait Sink {
    fn put(&mut self, symbol: u32);

    fn repeat(&mut self, symbol: u32, times: u32) {
        for _ in 0..times {
            self.put(symbol);
        }
    }
}

/// Writes into a slice of labels.
pub(crate) struct Store<'o> {
    rest: core::slice::IterMut<'o, u16>,
}

impl<'o> Store<'o> {
    pub(crate) fn new(out: &'o mut [u16]) -> Self {
        Self { rest: out.iter_mut() }
    }
}

impl Sink for Store<'_> {
    #[inline]
    fn put(&mut self, symbol: u32) {
        if let Some(to) = self.rest.next() {
            *to = symbol as u16;
        }
    }
}

/// `n` symbols below `alphabet`, and where they go. Both are as section 7 asks: n >= 1, alphabet 2..65536.
pub(crate) struct Job<'a, 's, S> {
    pub(crate) stream: Bytes<'a>,
    pub(crate) count: u32,
    pub(crate) alphabet: u32,
    pub(crate) scratch: &'s mut [u32],
    pub(crate) sink: S,
}

impl<S: Sink> Job<'_, '_, S> {
    /// Decode with a codec that needs nothing but the stream.
    pub(crate) fn decode(self, codec: u8) -> Outcome<()> {
        match codec {
            0x20 => self.fixed(),
            0x21 => self.huffman(),
            0x22 => self.runs(),
            0x23 => self.rans(),
            _ => Err(ErrorCode::UnsupportedCodec),
        }
    }

    fn fixed(mut self) -> Outcome<()> {
        let width = 32 - (self.alphabet - 1).leading_zeros();
        let end = u64::from(width) * u64::from(self.count);
        let bits = Bits(self.stream.all());
        let need = (end + 7) / 8;
        if (bits.0.len() as u64) < need {
            return Err(ErrorCode::StreamTruncated);
        }
        if bits.0.len() as u64 > need {
            return Err(ErrorCode::StreamOverlong);
        }
        bits.padding(end)?;
        let mut at = 0;
        for _ in 0..self.count {
            let symbol = bits.field(at, width);
            if symbol >= self.alphabet {
                return Err(ErrorCode::LabelRange);
            }
            self.sink.put(symbol);
            at += u64::from(width);
        }
        Ok(())
    }

    fn huffman(mut self) -> Outcome<()> {
        let mut code = Huffman::open(&mut self.stream, self.alphabet, self.scratch)?;
        for _ in 0..self.count {
            self.sink.put(code.symbol()?);
        }
        code.finish(&mut self.stream)?;
        self.stream.end()
    }

    fn runs(mut self) -> Outcome<()> {
        let runs = self.stream.varint()?;
        if runs < 1 || runs > self.count {
            return Err(ErrorCode::Parameter);
        }
        // first all checks of the streams, then the same values again
        let mut labels = Huffman::open(&mut self.stream, self.alphabet, self.scratch)?;
        let mut code = labels;
        let mut before = None;
        let mut equal = false;
        for _ in 0..runs {
            let label = Some(code.symbol()?);
            equal |= label == before;
            before = label;
        }
        code.finish(&mut self.stream)?;
        let mut lengths = None;
        let mut sum = 0;
        if runs >= 2 {
            let first = Block::open(&mut self.stream, runs - 1)?;
            let mut block = first;
            for _ in 1..runs {
                sum += u64::from(block.value()?) + 1;
            }
            block.finish(&mut self.stream)?;
            lengths = Some(first);
        }
        self.stream.end()?;
        if equal {
            return Err(ErrorCode::NonCanonical);
        }
        if sum >= u64::from(self.count) {
            return Err(ErrorCode::LabelRange);
        }
        if let Some(mut block) = lengths {
            for _ in 1..runs {
                self.sink.repeat(labels.symbol()?, block.value()?.saturating_add(1));
            }
        }
        self.sink.repeat(labels.symbol()?, self.count - sum as u32);
        Ok(())
    }

    fn rans(mut self) -> Outcome<()> {
        match Frequencies::open(&mut self.stream, self.alphabet, self.scratch)? {
            Frequencies::Single(symbol) => self.sink.repeat(symbol, self.count),
            Frequencies::Several(table) => {
                let mut rans = Rans::open(&self.stream, table, self.count)?;
                for _ in 0..self.count {
                    self.sink.put(rans.symbol()?);
                }
                rans.finish(&mut self.stream)?;
            }
        }
        self.stream.end()
    }

    /// What 7.5 makes of a frame's content, whose size is that of [`zstd_bytes`].
    #[cfg(feature = "zstd")]
    pub(crate) fn unpack(mut self, q: u8, content: &[u8]) -> Outcome<()> {
        let count = self.count as usize;
        for n in 0..count {
            let (low, high) = match (self.alphabet > 256, q) {
                (false, _) => (n, None),
                (true, 0) => (2 * n, Some(2 * n + 1)),
                (true, _) => (n, Some(count + n)),
            };
            let byte = |at: usize| content.get(at).copied().map_or(0, u32::from);
            let symbol = byte(low) | high.map_or(0, byte) << 8;
            if symbol >= self.alphabet {
                return Err(ErrorCode::LabelRange);
            }
            self.sink.put(symbol);
        }
        Ok(())
    }
}

/// Bytes of the content of a frame of 7.5, for its first byte; `None` if that byte is out of range.
#[cfg(feature = "zstd")]
pub(crate) fn zstd_bytes(q: u8, count: u32, alphabet: u32) -> Option<u64> {
    match (q, alphabet > 256) {
        (0, false) => Some(u64::from(count)),
        (0 | 1, true) => Some(2 * u64::from(count)),
        _ => None,
    }
}
