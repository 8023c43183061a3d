//! Error codes of SPEC.md section 9.

use core::fmt;

macro_rules! codes {
    ($($name:ident = $value:literal, $text:literal, $meaning:literal;)*) => {
        /// Code of the first failed check, as numbered in SPEC.md section 9.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name = $value,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// Name in SPEC.md, such as `SECTION_CRC`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// One line that says what is wrong.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    NotPlada = 1, "NOT_PLADA", "not a plada payload: wrong signature";
    Truncated = 2, "TRUNCATED", "the file ends before the header or a section does";
    UnsupportedVersion = 3, "UNSUPPORTED_VERSION", "major version is not 1";
    HeaderLength = 4, "HEADER_LENGTH", "the header's length is too small";
    HeaderCrc = 5, "HEADER_CRC", "header CRC differs";
    UnsupportedFlag = 6, "UNSUPPORTED_FLAG", "unknown flag";
    BadVarint = 7, "BAD_VARINT", "varint over-long or of 2^32 or more";
    SectionOrder = 8, "SECTION_ORDER", "section table out of order or not ending with the header";
    UnknownCriticalSection = 9, "UNKNOWN_CRITICAL_SECTION", "critical section of unknown type";
    UnsupportedCodec = 10, "UNSUPPORTED_CODEC", "codec unknown, or not built in";
    MinorVersion = 11, "MINOR_VERSION", "minor version does not fit the features used";
    CountExceedsPool = 12, "COUNT_EXCEEDS_POOL", "more kept images than the pool has";
    Limit = 13, "LIMIT", "above the limits of the caller or of this machine";
    PoolSizeMismatch = 14, "POOL_SIZE_MISMATCH", "pool size is not the caller's";
    PoolMismatch = 15, "POOL_MISMATCH", "pool fingerprint is not the caller's";
    PoolUnidentified = 16, "POOL_UNIDENTIFIED", "a fingerprint is expected, the payload has none";
    GroupsMismatch = 17, "GROUPS_MISMATCH", "the pool's groups are not those of the payload";
    TrailingData = 18, "TRAILING_DATA", "bytes after the last section";
    SectionCrc = 19, "SECTION_CRC", "a section's CRC differs";
    StreamTruncated = 20, "STREAM_TRUNCATED", "a coded stream ends early";
    StreamOverlong = 21, "STREAM_OVERLONG", "bytes left over in a stream";
    Padding = 22, "PADDING", "padding bit set";
    Parameter = 23, "PARAMETER", "codec parameter out of range";
    Table = 24, "TABLE", "symbol set, code lengths or frequencies impossible";
    CoderState = 25, "CODER_STATE", "impossible state of an entropy coder";
    IndexRange = 26, "INDEX_RANGE", "an index beyond the pool, or a wrong number of indices";
    LabelRange = 27, "LABEL_RANGE", "a label beyond the classes, or a wrong number of labels";
    NonCanonical = 28, "NON_CANONICAL", "not the shortest of several ways to write the same";
    ZstdFrame = 29, "ZSTD_FRAME", "something is wrong with a Zstandard frame";
    ContentDigest = 30, "CONTENT_DIGEST", "the decoded content is not what the writer wrote";
    Text = 31, "TEXT", "invalid text in an ancillary section";
    SectionContent = 32, "SECTION_CONTENT", "ancillary section malformed";
    GroupsRequired = 33, "GROUPS_REQUIRED", "the payload needs the pool's groups, none were given";
    GroupsFlag = 34, "GROUPS_FLAG", "the groups flag does not fit the codecs";
    InvalidArgument = 64, "INVALID_ARGUMENT", "the caller's slices or expectations are impossible";
}

impl ErrorCode {
    /// The number in SPEC.md.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    /// Code of the first failed check.
    pub code: ErrorCode,
    /// Type of the section at fault, if the fault lies in one.
    pub section: Option<u8>,
}

impl Error {
    pub(crate) const fn in_section(code: ErrorCode, section: u8) -> Self {
        Self { code, section: Some(section) }
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self { code, section: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} {}: {}", self.code.number(), self.code.name(), self.code.meaning())?;
        match self.section {
            Some(kind) => write!(f, " (section 0x{kind:02X})"),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "std")]
impl std::error::Error for Error {}

/// Inside a section.
pub(crate) type Outcome<T> = Result<T, ErrorCode>;
