//! What the three programs share: memory for one payload after the other, and libzstd behind a feature.

#[cfg(feature = "zstd")]
mod zstd;

use plada::{Error, ErrorCode, Options, Payload, Work};

/// Whether the programs were built with Zstandard.
pub const ZSTD: bool = cfg!(feature = "zstd");
/// Whether the programs were built with the adaptive codecs.
pub const ADAPTIVE: bool = cfg!(feature = "adaptive");

/// No expectations, and every codec that was built in.
#[must_use]
pub fn options<'a>() -> Options<'a> {
    let options = Options::new();
    #[cfg(feature = "zstd")]
    let options = options.zstd(&zstd::decompress);
    options
}

/// Slices that grow with the largest payload.
#[derive(Debug, Default)]
pub struct Buffers {
    indices: Vec<u32>,
    labels: Vec<u16>,
    scratch: Vec<u32>,
    states: Vec<u16>,
    frame: Vec<u8>,
}

impl Buffers {
    /// Decode strictly; gives indices and labels.
    ///
    /// # Errors
    ///
    /// Those of the decoder; `LIMIT` if there is no memory.
    pub fn decode(&mut self, payload: &Payload<'_>) -> Result<(&[u32], &[u16]), Error> {
        self.grow(payload)?;
        let count = payload.memory().indices;
        let mut work = Work::new(&mut self.indices, &mut self.labels, &mut self.scratch)
            .states(&mut self.states)
            .frame(&mut self.frame);
        payload.decode(&mut work)?;
        Ok((&self.indices[..count], &self.labels[..count]))
    }

    fn grow(&mut self, payload: &Payload<'_>) -> Result<(), Error> {
        let need = payload.memory();
        longer(&mut self.indices, need.indices)?;
        longer(&mut self.labels, need.labels)?;
        longer(&mut self.scratch, need.scratch)?;
        longer(&mut self.states, need.states)?;
        longer(&mut self.frame, need.frame)
    }
}

fn longer<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> Result<(), Error> {
    if buffer.len() < length {
        if buffer.try_reserve_exact(length - buffer.len()).is_err() {
            return Err(Error { code: ErrorCode::Limit, section: None });
        }
        buffer.resize(length, T::default());
    }
    Ok(())
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
