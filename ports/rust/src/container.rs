//! Header and section table (SPEC.md section 3; steps 1 to 11 of section 9).

use crate::bytes::Bytes;
use crate::crc32::crc32;
use crate::digest::group_digest;
use crate::error::{Error, ErrorCode, Outcome};
use crate::options::Options;

const SIGNATURE: &[u8; 8] = b"\x89PLA\r\n\x1a\n";
const FIXED: usize = 46;
const GROUPS: u8 = 1;

/// The header of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Minor version; the major version is 1.
    pub minor: u8,
    /// Bytes of the header, its CRC included.
    pub length: u8,
    /// N, images in the pool.
    pub pool_size: u32,
    /// k, kept images.
    pub count: u32,
    /// K, classes.
    pub num_classes: u32,
    /// Fingerprint of the pool, if the payload names one.
    pub fingerprint: Option<[u8; 16]>,
    /// Digest of the content.
    pub content_digest: [u8; 8],
    /// Digest of the pool's groups, if a codec uses them.
    pub group_digest: Option<[u8; 8]>,
}

/// A section of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Type; of index and label section the codec.
    pub kind: u8,
    /// Offset of the body in the file.
    pub offset: usize,
    /// The body.
    pub body: &'a [u8],
}

/// The sections of a payload in the order of the file.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    file: &'a [u8],
    table: Bytes<'a>,
    offset: usize,
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        let kind = self.table.u8().ok()?;
        let length = self.table.varint().ok()? as usize;
        let body = self.file.get(self.offset..self.offset + length)?;
        let found = Section { kind, offset: self.offset, body };
        self.offset += length + 4;
        Some(found)
    }
}

/// A file whose header and checksums are right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) header: Header,
    file: &'a [u8],
    table: Bytes<'a>,
}

impl<'a> Container<'a> {
    pub(crate) fn open(file: &'a [u8], options: &Options<'_>) -> Result<Self, Error> {
        options.check()?;
        let bytes = fixed_part(file)?;
        let flags = bytes[11];
        if flags & !GROUPS != 0 {
            return Err(ErrorCode::UnsupportedFlag.into());
        }
        let grouped = flags & GROUPS != 0;
        let start = if grouped { FIXED + 8 } else { FIXED };
        if bytes.len() < start + 8 {
            return Err(ErrorCode::HeaderLength.into());
        }
        let table = Bytes::with_error(&bytes[start..bytes.len() - 4], ErrorCode::SectionOrder);
        let contents = read_table(table, options.has_zstd())?;
        if grouped != contents.group_codec {
            return Err(ErrorCode::GroupsFlag.into());
        }
        let minor = bytes[9];
        let fits = match minor {
            0 => !contents.since_1_1 && !contents.unknown,
            1 => contents.since_1_1 && !contents.unknown,
            _ => contents.unknown,
        };
        if !fits {
            return Err(ErrorCode::MinorVersion.into());
        }
        let mut rest = Bytes::with_error(&bytes[12..], ErrorCode::Truncated);
        let header = Header {
            minor,
            length: bytes[10],
            pool_size: rest.u32()?,
            count: rest.u32()?,
            num_classes: u32::from(bytes[20]) + (u32::from(bytes[21]) << 8) + 1,
            fingerprint: Some(copy(&bytes[22..38])).filter(|f| *f != [0; 16]),
            content_digest: copy(&bytes[38..46]),
            group_digest: if grouped { Some(copy(&bytes[46..54])) } else { None },
        };
        expected(&header, options)?;
        let all = bytes.len() as u64 + contents.bytes;
        if (file.len() as u64) < all {
            return Err(ErrorCode::Truncated.into());
        }
        if file.len() as u64 > all {
            return Err(ErrorCode::TrailingData.into());
        }
        let container = Self { header, file, table };
        for section in container.sections() {
            let mut crc = Bytes::stream(file);
            crc.seek(section.offset + section.body.len());
            if crc.u32()? != crc32(&[&[section.kind], section.body]) {
                return Err(Error::in_section(ErrorCode::SectionCrc, section.kind));
            }
        }
        Ok(container)
    }

    pub(crate) const fn sections(&self) -> Sections<'a> {
        Sections { file: self.file, table: self.table, offset: self.header.length as usize }
    }
}

/// Steps 1 to 4: the bytes of the header, of which there are 54 at least, with a right CRC.
fn fixed_part(file: &[u8]) -> Outcome<&[u8]> {
    let shown = file.len().min(8);
    if file[..shown] != SIGNATURE[..shown] {
        return Err(ErrorCode::NotPlada);
    }
    if shown < 8 {
        return Err(ErrorCode::Truncated);
    }
    if *file.get(8).ok_or(ErrorCode::Truncated)? != 1 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let length = usize::from(*file.get(10).ok_or(ErrorCode::Truncated)?);
    if length < FIXED + 8 {
        return Err(ErrorCode::HeaderLength);
    }
    let header = file.get(..length).ok_or(ErrorCode::Truncated)?;
    let (content, crc) = header.split_at(length - 4);
    if crc32(&[content]).to_le_bytes() != crc {
        return Err(ErrorCode::HeaderCrc);
    }
    Ok(header)
}

/// What step 7 and later steps need to know of the table.
struct Contents {
    /// Bytes of all bodies and their CRCs.
    bytes: u64,
    group_codec: bool,
    since_1_1: bool,
    /// An ancillary type that format 1.1 does not define, outside the private range.
    unknown: bool,
}

fn read_table(mut table: Bytes<'_>, zstd: bool) -> Outcome<Contents> {
    let mut contents = Contents { bytes: 0, group_codec: false, since_1_1: false, unknown: false };
    let mut before = None;
    let mut place = 0;
    while !table.rest().is_empty() {
        let kind = table.u8()?;
        if before.map_or(false, |b| kind <= b) {
            return Err(ErrorCode::SectionOrder);
        }
        before = Some(kind);
        if (0x40..0x80).contains(&kind) {
            return Err(ErrorCode::UnknownCriticalSection);
        }
        let class = match kind {
            0..=0x1F => 0,
            0x20..=0x3F => 1,
            _ => 2,
        };
        if class != place {
            return Err(ErrorCode::SectionOrder);
        }
        place = (place + 1).min(2);
        if class < 2 && !is_known(kind, zstd) {
            return Err(ErrorCode::UnsupportedCodec);
        }
        contents.group_codec |= matches!(kind, 0x09 | 0x29);
        contents.since_1_1 |= matches!(kind, 0x08 | 0x09 | 0x28 | 0x29);
        contents.unknown |= matches!(kind, 0x84..=0xBF | 0xE0..=0xFE);
        contents.bytes += u64::from(table.varint()?) + 4;
    }
    if place < 2 {
        return Err(ErrorCode::SectionOrder);
    }
    Ok(contents)
}

const fn is_known(codec: u8, zstd: bool) -> bool {
    match codec {
        0x00..=0x03 | 0x20..=0x23 => true,
        0x08 | 0x09 | 0x28 | 0x29 => cfg!(feature = "adaptive"),
        0x10 | 0x11 | 0x30 => zstd,
        _ => false,
    }
}

/// Steps 8 and 9.
fn expected(header: &Header, options: &Options<'_>) -> Outcome<()> {
    if header.count > header.pool_size {
        return Err(ErrorCode::CountExceedsPool);
    }
    match options.pool_size {
        Some(images) if images != header.pool_size => return Err(ErrorCode::PoolSizeMismatch),
        None if header.pool_size > options.limits.pool_size => return Err(ErrorCode::Limit),
        None if header.count > options.limits.count => return Err(ErrorCode::Limit),
        _ => {}
    }
    if let Some(fingerprint) = options.fingerprint {
        match header.fingerprint {
            None => return Err(ErrorCode::PoolUnidentified),
            Some(other) if other != fingerprint => return Err(ErrorCode::PoolMismatch),
            Some(_) => {}
        }
    }
    if let Some(digest) = header.group_digest {
        let starts = options.needed_groups()?;
        let inside = starts.last().map_or(false, |last| *last < header.pool_size);
        if digest != group_digest(starts) || !inside {
            return Err(ErrorCode::GroupsMismatch);
        }
    }
    Ok(())
}

fn copy<const SIZE: usize>(from: &[u8]) -> [u8; SIZE] {
    let mut out = [0; SIZE];
    out.copy_from_slice(from);
    out
}
