//! A payload from the file to its content (SPEC.md section 9).

use core::fmt;

use crate::bytes::Bytes;
use crate::container::{Container, Header, Section, Sections};
use crate::digest::content_digest;
use crate::error::{Error, ErrorCode, Outcome};
use crate::label::{Job, Sink, Store};
use crate::options::Options;
use crate::sections::{ClassNames, Metadata};
#[cfg(feature = "adaptive")]
use crate::adaptive;
use crate::{huffman, index, rans};

const CLASS_NAMES: u8 = 0x80;
const METADATA: u8 = 0x81;
const WEIGHTS: u8 = 0x82;
const SOFT_LABELS: u8 = 0x83;
const SYMBOLS: u32 = 256;

/// Lengths of the slices that decoding a payload takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Indices, `u32` each: k.
    pub indices: usize,
    /// Labels, `u16` each: k.
    pub labels: usize,
    /// States of the adaptive codecs, `u16` each.
    pub states: usize,
    /// Words of scratch with which decoding is fast.
    pub scratch: usize,
    /// Words of scratch with which decoding is possible, at the price of a search for each symbol.
    pub scratch_least: usize,
    /// Bytes for the content of one Zstandard frame.
    pub frame: usize,
}

/// The caller's slices. Longer ones than [`Memory`] says do not harm; what they held before does not matter.
#[derive(Debug)]
pub struct Work<'w> {
    indices: &'w mut [u32],
    labels: &'w mut [u16],
    scratch: &'w mut [u32],
    states: &'w mut [u16],
    frame: &'w mut [u8],
}

impl<'w> Work<'w> {
    /// Slices for a payload with static codecs.
    pub fn new(indices: &'w mut [u32], labels: &'w mut [u16], scratch: &'w mut [u32]) -> Self {
        Self { indices, labels, scratch, states: &mut [], frame: &mut [] }
    }

    /// A slice for the states of adaptive codecs.
    #[must_use]
    pub fn states(mut self, states: &'w mut [u16]) -> Self {
        self.states = states;
        self
    }

    /// A slice for the content of Zstandard frames.
    #[must_use]
    pub fn frame(mut self, frame: &'w mut [u8]) -> Self {
        self.frame = frame;
        self
    }
}

/// A file whose header, expectations and checksums are right: all that can be checked without memory.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    container: Container<'a>,
    options: Options<'a>,
}

impl<'a> Payload<'a> {
    /// Steps 1 to 11 of SPEC.md section 9.
    ///
    /// # Errors
    ///
    /// The first failed check; `INVALID_ARGUMENT` if the options are impossible.
    pub fn open(file: &'a [u8], options: &Options<'a>) -> Result<Self, Error> {
        Ok(Self { container: Container::open(file, options)?, options: *options })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.container.header
    }

    /// All sections in the order of the file: index, label, ancillary ones.
    #[must_use]
    pub const fn sections(&self) -> Sections<'a> {
        self.container.sections()
    }

    fn section(&self, kind: u8) -> Option<Section<'a>> {
        self.sections().find(|section| section.kind == kind)
    }

    /// How long the slices for [`Payload::decode`] must be. `indices` and `labels` are k, which the file alone says: bound it
    /// by giving the pool size, or by limits.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let header = self.header();
        let count = header.count as usize;
        let mut memory = Memory { indices: count, labels: count, states: 0, scratch: 0, scratch_least: 0, frame: 0 };
        for section in self.sections() {
            match section.kind {
                0..=0x1F if !self.index_is_trivial() => index_memory(&mut memory, header, &section),
                0x20..=0x3F if !self.labels_are_trivial() => {
                    label_memory(&mut memory, section.kind, section.body, header.count, header.num_classes);
                }
                WEIGHTS | SOFT_LABELS => {
                    if let (Some((codec, stream)), Ok(symbols)) = (section.body.split_first(), self.embedded(section.kind)) {
                        if is_embeddable(*codec) {
                            label_memory(&mut memory, *codec, stream, symbols, SYMBOLS);
                        }
                    }
                }
                _ => {}
            }
        }
        memory
    }

    fn index_is_trivial(&self) -> bool {
        let header = self.header();
        header.count == 0 || header.count == header.pool_size
    }

    fn labels_are_trivial(&self) -> bool {
        let header = self.header();
        header.count == 0 || header.num_classes == 1
    }

    /// Decode indices, labels and digest, and check the ancillary sections: steps 12 to 14. The first k elements of
    /// `indices` and `labels` are the content.
    ///
    /// # Errors
    ///
    /// The first failed check; `INVALID_ARGUMENT` if a slice is too short. The slices for indices and labels are all zero
    /// then.
    pub fn decode(&self, work: &mut Work<'_>) -> Result<(), Error> {
        self.decode_content(work)?;
        let result = self.check_sections(work.scratch, work.frame);
        if result.is_err() {
            wipe(work);
        }
        result
    }

    /// As [`Payload::decode`] without the ancillary sections: steps 12 and 13.
    ///
    /// # Errors
    ///
    /// As [`Payload::decode`].
    pub fn decode_content(&self, work: &mut Work<'_>) -> Result<(), Error> {
        let result = self.content(work);
        if result.is_err() {
            wipe(work);
        }
        result
    }

    fn content(&self, work: &mut Work<'_>) -> Result<(), Error> {
        let header = self.header();
        let count = header.count as usize;
        let (indices, labels) = match (work.indices.get_mut(..count), work.labels.get_mut(..count)) {
            (Some(indices), Some(labels)) => (indices, labels),
            _ => return Err(ErrorCode::InvalidArgument.into()),
        };
        for section in self.sections().take(2) {
            let result = if section.kind < 0x20 {
                self.indices(&section, indices, work.scratch, work.states, work.frame)
            } else {
                self.labels(&section, indices, labels, work.scratch, work.states, work.frame)
            };
            result.map_err(|code| Error::in_section(code, section.kind))?;
        }
        if content_digest(header.pool_size, header.num_classes, indices, labels) != header.content_digest {
            return Err(ErrorCode::ContentDigest.into());
        }
        Ok(())
    }

    fn indices(
        &self,
        section: &Section<'a>,
        out: &mut [u32],
        scratch: &mut [u32],
        states: &mut [u16],
        frame: &mut [u8],
    ) -> Outcome<()> {
        let pool_size = self.header().pool_size;
        let stream = Bytes::stream(section.body);
        if self.index_is_trivial() {
            stream.end()?;
            for (place, index) in (0..).zip(out) {
                *index = place;
            }
            return Ok(());
        }
        match section.kind {
            0x00 => index::bitmap(section.body, pool_size, out),
            0x01 => index::golomb(stream, pool_size, out),
            0x02 => index::runs(stream, pool_size, out),
            0x03 => index::rans(stream, pool_size, out, scratch),
            #[cfg(feature = "adaptive")]
            0x08 => adaptive::index_plain(section.body, pool_size, out, states),
            #[cfg(feature = "adaptive")]
            0x09 => adaptive::index_groups(section.body, pool_size, self.options.needed_groups()?, out, states),
            #[cfg(feature = "zstd")]
            0x10 => {
                let mut stream = stream;
                let q = stream.u8()?;
                let size = index::delta_bytes(q, out.len() as u32).ok_or(ErrorCode::Parameter)?;
                index::delta(q, self.unpack(stream.rest(), size, frame)?, pool_size, out)
            }
            #[cfg(feature = "zstd")]
            0x11 => {
                let size = index::bitmap_bytes(pool_size) as u64;
                index::bitmap(self.unpack(section.body, size, frame)?, pool_size, out)
            }
            _ => {
                let _ = (states, frame);
                Err(ErrorCode::UnsupportedCodec)
            }
        }
    }

    fn labels(
        &self,
        section: &Section<'a>,
        indices: &[u32],
        out: &mut [u16],
        scratch: &mut [u32],
        states: &mut [u16],
        frame: &mut [u8],
    ) -> Outcome<()> {
        if self.labels_are_trivial() {
            Bytes::stream(section.body).end()?;
            out.fill(0);
            return Ok(());
        }
        let alphabet = self.header().num_classes;
        #[cfg(feature = "adaptive")]
        match section.kind {
            0x28 => return adaptive::label_plain(section.body, alphabet, indices, out, states, scratch),
            0x29 => {
                let starts = self.options.needed_groups()?;
                return adaptive::label_groups(section.body, alphabet, indices, starts, out, states, scratch);
            }
            _ => {}
        }
        let _ = (indices, states);
        self.symbols(section.kind, section.body, out.len() as u32, alphabet, scratch, frame, Store::new(out))
    }

    /// Symbols of a codec that needs nothing but the stream.
    #[allow(clippy::too_many_arguments)] // private, and each is another thing
    fn symbols<S: Sink>(
        &self,
        codec: u8,
        body: &[u8],
        count: u32,
        alphabet: u32,
        scratch: &mut [u32],
        frame: &mut [u8],
        sink: S,
    ) -> Outcome<()> {
        let job = Job { stream: Bytes::stream(body), count, alphabet, scratch, sink };
        #[cfg(feature = "zstd")]
        if codec == 0x30 {
            let mut stream = job.stream;
            let q = stream.u8()?;
            let size = crate::label::zstd_bytes(q, count, alphabet).ok_or(ErrorCode::Parameter)?;
            return job.unpack(q, self.unpack(stream.rest(), size, frame)?);
        }
        let _ = frame;
        job.decode(codec)
    }

    #[cfg(feature = "zstd")]
    fn unpack<'f>(&self, data: &[u8], size: u64, frame: &'f mut [u8]) -> Outcome<&'f [u8]> {
        let with = self.options.zstd.ok_or(ErrorCode::UnsupportedCodec)?;
        let size = usize::try_from(size).map_err(|_| ErrorCode::Limit)?;
        let buffer = frame.get_mut(..size).ok_or(ErrorCode::InvalidArgument)?;
        crate::frame::decompress(data, buffer, with)?;
        Ok(buffer)
    }

    /// Check the ancillary sections of known type: step 14. `scratch` and `frame` are those of [`Memory`].
    ///
    /// # Errors
    ///
    /// The first failed check; `INVALID_ARGUMENT` if a slice is too short.
    pub fn check_sections(&self, scratch: &mut [u32], frame: &mut [u8]) -> Result<(), Error> {
        for section in self.sections().skip(2) {
            match section.kind {
                CLASS_NAMES => ClassNames::open(section.body, self.header().num_classes).map(drop),
                METADATA => Metadata::open(section.body).map(drop),
                WEIGHTS | SOFT_LABELS => self.table(&section, &mut [], scratch, frame),
                _ => Ok(()),
            }
            .map_err(|code| Error::in_section(code, section.kind))?;
        }
        Ok(())
    }

    /// Names of the classes, if the payload has them.
    ///
    /// # Errors
    ///
    /// The section is malformed.
    pub fn class_names(&self) -> Result<Option<ClassNames<'a>>, Error> {
        let open = |section: Section<'a>| ClassNames::open(section.body, self.header().num_classes);
        self.section(CLASS_NAMES).map(open).transpose().map_err(|code| Error::in_section(code, CLASS_NAMES))
    }

    /// Metadata, if the payload has them.
    ///
    /// # Errors
    ///
    /// The section is malformed.
    pub fn metadata(&self) -> Result<Option<Metadata<'a>>, Error> {
        let open = |section: Section<'a>| Metadata::open(section.body);
        self.section(METADATA).map(open).transpose().map_err(|code| Error::in_section(code, METADATA))
    }

    /// Image weights, if the payload has them (else false): a byte q for each kept image, whose weight is
    /// 2^((q - 128) / 16).
    ///
    /// # Errors
    ///
    /// The section is malformed, or `out` has not k elements or a work slice is too short.
    pub fn weights(&self, out: &mut [u8], scratch: &mut [u32], frame: &mut [u8]) -> Result<bool, Error> {
        self.table_into(WEIGHTS, out, scratch, frame)
    }

    /// Average soft labels, if the payload has them (else false): K rows of K bytes; byte j of row c, divided by 255, is the
    /// probability of class j for images labelled c.
    ///
    /// # Errors
    ///
    /// The section is malformed, or `out` has not K * K elements or a work slice is too short.
    pub fn soft_labels(&self, out: &mut [u8], scratch: &mut [u32], frame: &mut [u8]) -> Result<bool, Error> {
        self.table_into(SOFT_LABELS, out, scratch, frame)
    }

    fn table_into(&self, kind: u8, out: &mut [u8], scratch: &mut [u32], frame: &mut [u8]) -> Result<bool, Error> {
        let section = match self.section(kind) {
            Some(section) => section,
            None => return Ok(false),
        };
        let inside = |code| Error::in_section(code, kind);
        if self.embedded(kind).map_err(inside)? as usize != out.len() {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let result = self.table(&section, out, scratch, frame);
        if result.is_err() {
            out.fill(0);
        }
        result.map_err(inside)?;
        Ok(true)
    }

    /// Number of symbols in a section of weights or soft labels.
    fn embedded(&self, kind: u8) -> Outcome<u32> {
        let header = self.header();
        match (kind, header.count, header.num_classes) {
            (WEIGHTS, 1..=u32::MAX, _) => Ok(header.count),
            (SOFT_LABELS, _, 2..=1024) => Ok(header.num_classes * header.num_classes),
            _ => Err(ErrorCode::SectionContent),
        }
    }

    /// 8.3 and 8.4; what does not fit into `out` is only checked.
    fn table(&self, section: &Section<'a>, out: &mut [u8], scratch: &mut [u32], frame: &mut [u8]) -> Outcome<()> {
        let count = self.embedded(section.kind)?;
        let (codec, stream) = section.body.split_first().ok_or(ErrorCode::SectionContent)?;
        if !is_embeddable(*codec) || (*codec == 0x30 && !self.options.has_zstd()) {
            return Err(ErrorCode::UnsupportedCodec);
        }
        let row = if section.kind == SOFT_LABELS { self.header().num_classes } else { 0 };
        let mut sink = Tabled { rest: out.iter_mut(), row, left: row, sum: 0, bad: false };
        // by reference, so that the codecs are not compiled once more for each of these
        let sink_ref: &mut dyn Sink = &mut sink;
        self.symbols(*codec, stream, count, SYMBOLS, scratch, frame, sink_ref)?;
        if sink.bad {
            return Err(ErrorCode::SectionContent);
        }
        Ok(())
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("header", self.header()).finish_non_exhaustive()
    }
}

fn wipe(work: &mut Work<'_>) {
    work.indices.fill(0);
    work.labels.fill(0);
}

const fn is_embeddable(codec: u8) -> bool {
    matches!(codec, 0x20..=0x23 | 0x30)
}

impl Memory {
    fn scratch(&mut self, (fast, least): (usize, usize)) {
        self.scratch = self.scratch.max(fast);
        self.scratch_least = self.scratch_least.max(least);
    }
}

fn index_memory(memory: &mut Memory, header: &Header, section: &Section<'_>) {
    match section.kind {
        0x03 => memory.scratch(rans::scratch(index::CLASSES)),
        #[cfg(feature = "adaptive")]
        0x08 | 0x09 => memory.states = memory.states.max(adaptive::index_memory()),
        #[cfg(feature = "zstd")]
        0x10 => {
            let size = section.body.first().and_then(|q| index::delta_bytes(*q, header.count)).unwrap_or(0);
            memory.frame = memory.frame.max(usize::try_from(size).unwrap_or(usize::MAX));
        }
        #[cfg(feature = "zstd")]
        0x11 => memory.frame = memory.frame.max(index::bitmap_bytes(header.pool_size)),
        _ => {
            let _ = header;
        }
    }
}

fn label_memory(memory: &mut Memory, codec: u8, stream: &[u8], count: u32, alphabet: u32) {
    match codec {
        0x21 | 0x22 => memory.scratch(huffman::scratch(alphabet)),
        0x23 => memory.scratch(rans::scratch(alphabet)),
        #[cfg(feature = "adaptive")]
        0x28 | 0x29 => {
            let (states, words) = adaptive::label_memory(alphabet);
            memory.states = memory.states.max(states);
            memory.scratch((words, words));
        }
        #[cfg(feature = "zstd")]
        0x30 => {
            let size = stream.first().and_then(|q| crate::label::zstd_bytes(*q, count, alphabet)).unwrap_or(0);
            memory.frame = memory.frame.max(usize::try_from(size).unwrap_or(usize::MAX));
        }
        _ => {
            let _ = (stream, count);
        }
    }
}

impl Sink for &mut dyn Sink {
    fn put(&mut self, symbol: u32) {
        (**self).put(symbol);
    }
}

/// Writes bytes, and checks the sums of rows if these have a length.
struct Tabled<'o> {
    rest: core::slice::IterMut<'o, u8>,
    row: u32,
    left: u32,
    sum: u32,
    bad: bool,
}

impl Sink for Tabled<'_> {
    fn put(&mut self, symbol: u32) {
        if let Some(to) = self.rest.next() {
            *to = symbol as u8;
        }
        if self.row > 0 {
            self.sum += symbol;
            self.left -= 1;
            if self.left == 0 {
                self.bad |= self.sum != 255;
                self.sum = 0;
                self.left = self.row;
            }
        }
    }
}
