//! Symbol set (SPEC.md 5.2).

use crate::block::Block;
use crate::bytes::Bytes;
use crate::error::{ErrorCode, Outcome};

/// The symbols that a table describes, in increasing order. A copy made before the first reads them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbols<'a> {
    /// U, 1 or more.
    pub(crate) count: u32,
    gaps: Option<Block<'a>>,
    next: u64,
}

impl<'a> Symbols<'a> {
    /// Read and check the whole set.
    pub(crate) fn open(stream: &mut Bytes<'a>, alphabet: u32) -> Outcome<Self> {
        let count = stream.varint()?;
        if count < 1 || count > alphabet {
            return Err(ErrorCode::Table);
        }
        if count == alphabet {
            return Ok(Self { count, gaps: None, next: 0 });
        }
        let first = Block::open(stream, count)?;
        let mut block = first;
        let mut after = 0;
        for _ in 0..count {
            after += u64::from(block.value()?) + 1;
        }
        block.finish(stream)?;
        if after > u64::from(alphabet) {
            return Err(ErrorCode::Table);
        }
        Ok(Self { count, gaps: Some(first), next: 0 })
    }

    /// The next symbol; to be called `count` times.
    pub(crate) fn symbol(&mut self) -> Outcome<u32> {
        if let Some(block) = &mut self.gaps {
            self.next += u64::from(block.value()?);
        }
        let found = self.next as u32;
        self.next += 1;
        Ok(found)
    }
}
