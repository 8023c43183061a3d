//! The vectors, and what tests do to files.
#![allow(dead_code)] // each test file is a program of its own and uses a part

pub mod json;

use std::path::PathBuf;

use json::Json;
use plada::{Error, Options, Payload, Work};

/// A file of vectors/ with what must become of it.
#[derive(Debug, Clone)]
pub struct Vector {
    pub name: String,
    pub data: Vec<u8>,
    /// Error code, or 0.
    pub code: u8,
    pub digest: String,
    pub pool_size: Option<u32>,
    pub fingerprint: Option<[u8; 16]>,
    pub groups: Option<Vec<u32>>,
}

impl Vector {
    pub fn options(&self) -> Options<'_> {
        let mut options = plada_tools::options();
        if let Some(images) = self.pool_size {
            options = options.pool_size(images);
        }
        if let Some(fingerprint) = self.fingerprint {
            options = options.fingerprint(fingerprint);
        }
        if let Some(groups) = &self.groups {
            options = options.groups(groups);
        }
        options
    }

    /// Whether a program with these features can know the file.
    pub fn is_within(&self, zstd: bool, adaptive: bool) -> bool {
        let kinds = table_of(&self.data);
        let embedded = bodies(&self.data).into_iter().any(|(kind, from, _)| {
            matches!(kind, 0x82 | 0x83) && self.data.get(from) == Some(&0x30)
        });
        let frames = kinds.iter().any(|kind| matches!(kind, 0x10 | 0x11 | 0x30)) || embedded;
        let modelled = kinds.iter().any(|kind| matches!(kind, 0x08 | 0x09 | 0x28 | 0x29));
        (zstd || !frames) && (adaptive || !modelled)
    }
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors")
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

pub fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(folder().join("manifest.json")).unwrap();
    let manifest = Json::parse(&text);
    let list = manifest.get("vectors").unwrap().list();
    assert!(list.len() >= 462, "vectors are missing");
    list.iter().map(vector).collect()
}

fn vector(entry: &Json) -> Vector {
    let name = entry.text("file").to_owned();
    let data = std::fs::read(folder().join(&name)).unwrap();
    assert_eq!(data.len() as u64, entry.number("size").unwrap(), "{name}");
    let code = entry.number("error").unwrap_or(0) as u8;
    let digest = if code == 0 { entry.text("content_digest").to_owned() } else { String::new() };
    let caller = entry.get("caller");
    let known = ["pool_size", "pool_fingerprint", "groups"];
    if let Some(Json::Map(map)) = caller {
        assert!(map.keys().all(|key| known.contains(&key.as_str())), "{name}: unknown expectation");
    }
    let mut pool_size = caller.and_then(|c| c.number("pool_size")).map(|n| n as u32);
    if code == 0 && entry.number("pool_size") > Some(1 << 28) {
        pool_size = entry.number("pool_size").map(|n| n as u32); // above the default limit
    }
    let fingerprint = caller.and_then(|c| c.get("pool_fingerprint")).map(|_| {
        let bytes = bytes_of_hex(caller.unwrap().text("pool_fingerprint"));
        <[u8; 16]>::try_from(bytes).unwrap()
    });
    let groups = caller.and_then(|c| c.get("groups")).map(|list| {
        let number = |json: &Json| match json {
            Json::Number(number) => *number as u32,
            other => panic!("{name}: group start {other:?}"),
        };
        list.list().iter().map(number).collect()
    });
    Vector { name, data, code, digest, pool_size, fingerprint, groups }
}

/// Section types, as far as the table can be followed.
pub fn table_of(data: &[u8]) -> Vec<u8> {
    bodies(data).into_iter().map(|(kind, _, _)| kind).collect()
}

/// Type, offset and length of each section, as far as the table can be followed.
pub fn bodies(data: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut out = Vec::new();
    if data.len() < 54 || usize::from(data[10]) > data.len() || data[10] < 54 {
        return out;
    }
    let end = usize::from(data[10]) - 4;
    let mut at = if data[11] & 1 == 1 { 54 } else { 46 };
    let mut offset = end + 4;
    while at < end {
        let kind = data[at];
        at += 1;
        let (mut length, mut shift) = (0usize, 0);
        while at < end {
            length |= usize::from(data[at] & 0x7F) << shift;
            shift += 7;
            at += 1;
            if data[at - 1] < 0x80 || shift > 28 {
                break;
            }
        }
        out.push((kind, offset, length));
        offset += length + 4;
    }
    out
}

pub fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

/// Make header and section checksums right, as far as the table can be followed.
pub fn repair(data: &mut [u8]) {
    for (kind, offset, length) in bodies(data) {
        let end = offset + length;
        if end + 4 <= data.len() {
            let crc = crc32(std::iter::once(kind).chain(data[offset..end].iter().copied()));
            data[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        }
    }
    if data.len() > 10 && data[10] >= 54 && usize::from(data[10]) <= data.len() {
        let end = usize::from(data[10]) - 4;
        let crc = crc32(data[..end].iter().copied());
        data[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Decode with slices of exactly the lengths that the decoder asks for; `least`: with as little scratch as possible.
pub fn decode(data: &[u8], options: &Options<'_>, least: bool) -> Result<(Vec<u32>, Vec<u16>), Error> {
    let payload = Payload::open(data, options)?;
    let need = payload.memory();
    // what the slices held before must not matter
    let mut indices = vec![0xA5A5_A5A5; need.indices];
    let mut labels = vec![0x5A5A; need.labels];
    let mut scratch = vec![0xC3C3_C3C3; if least { need.scratch_least } else { need.scratch }];
    let mut states = vec![0x9696; need.states];
    let mut frame = vec![0x3C; need.frame];
    let mut work = Work::new(&mut indices, &mut labels, &mut scratch).states(&mut states).frame(&mut frame);
    let result = payload.decode(&mut work);
    if let Err(error) = result {
        assert_ne!(error.code, plada::ErrorCode::InvalidArgument, "the slices are as long as was asked");
        assert!(indices.iter().all(|i| *i == 0) && labels.iter().all(|l| *l == 0), "content of a refused file");
    }
    result.map(|()| (indices, labels))
}

/// A small generator of random numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
