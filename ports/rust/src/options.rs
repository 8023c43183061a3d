//! What the caller knows and allows.

use core::fmt;

use crate::error::{ErrorCode, Outcome};

/// Decompresses one whole Zstandard frame into exactly the given slice; `None` if it cannot. The frame's header, sizes
/// and end have been checked before, so the slice's length is the size that the frame declares. The number returned is
/// how many bytes the frame really held.
#[cfg(feature = "zstd")]
pub type Decompress = dyn Fn(&[u8], &mut [u8]) -> Option<usize>;

/// The largest numbers to accept from files whose pool size the caller does not confirm (SPEC.md section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest pool size N.
    pub pool_size: u32,
    /// Largest number of kept images k.
    pub count: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pool_size: 1 << 28, count: 1 << 25 }
    }
}

/// What the caller knows about its pool, and what it allows.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    pub(crate) pool_size: Option<u32>,
    pub(crate) fingerprint: Option<[u8; 16]>,
    pub(crate) groups: Option<&'a [u32]>,
    pub(crate) limits: Limits,
    #[cfg(feature = "zstd")]
    pub(crate) zstd: Option<&'a Decompress>,
}

impl<'a> Options<'a> {
    /// No expectations, the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The payload must be for a pool of so many images. The limits do not apply then.
    #[must_use]
    pub const fn pool_size(mut self, images: u32) -> Self {
        self.pool_size = Some(images);
        self
    }

    /// The payload must name the pool with this fingerprint (not all zero).
    #[must_use]
    pub const fn fingerprint(mut self, fingerprint: [u8; 16]) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Number of the first image of each of the pool's groups: 0 first, strictly increasing, below the pool size. Looked at
    /// only if the payload needs them.
    #[must_use]
    pub const fn groups(mut self, starts: &'a [u32]) -> Self {
        self.groups = Some(starts);
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Accept the codecs that use Zstandard, with this decompressor.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn zstd(mut self, decompress: &'a Decompress) -> Self {
        self.zstd = Some(decompress);
        self
    }

    pub(crate) fn has_zstd(&self) -> bool {
        #[cfg(feature = "zstd")]
        {
            self.zstd.is_some()
        }
        #[cfg(not(feature = "zstd"))]
        {
            false
        }
    }

    /// The caller's own mistakes, which are no matter of the file.
    pub(crate) fn check(&self) -> Outcome<()> {
        if self.fingerprint == Some([0; 16]) {
            return Err(ErrorCode::InvalidArgument);
        }
        Ok(())
    }

    /// The groups' starts, which the file needs.
    pub(crate) fn needed_groups(&self) -> Outcome<&'a [u32]> {
        let starts = self.groups.ok_or(ErrorCode::GroupsRequired)?;
        if starts.first() != Some(&0) || starts.windows(2).any(|two| two[0] >= two[1]) {
            return Err(ErrorCode::InvalidArgument);
        }
        Ok(starts)
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("pool_size", &self.pool_size)
            .field("fingerprint", &self.fingerprint)
            .field("groups", &self.groups.map(<[u32]>::len))
            .field("limits", &self.limits)
            .field("zstd", &self.has_zstd())
            .finish()
    }
}
