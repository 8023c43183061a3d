//! Every file of vectors/: the codes and digests of the manifest, and every cut of every valid file.

mod common;

use common::{decode, vectors};
use plada::{content_digest, ErrorCode, Payload};
use plada_tools::{hex, ADAPTIVE, ZSTD};

#[test]
fn every_vector() {
    let mut wrong = Vec::new();
    let mut done = 0;
    for vector in vectors() {
        if !vector.is_within(ZSTD, ADAPTIVE) {
            continue;
        }
        done += 1;
        for least in [false, true] {
            let options = vector.options();
            let found = decode(&vector.data, &options, least);
            let code = found.as_ref().map_or_else(|error| error.code.number(), |_| 0);
            if code != vector.code {
                wrong.push(format!("{}: {code}, not {}", vector.name, vector.code));
            } else if let Ok((indices, labels)) = found {
                let payload = Payload::open(&vector.data, &options).unwrap();
                let header = payload.header();
                let digest = hex(&content_digest(header.pool_size, header.num_classes, &indices, &labels));
                assert_eq!(digest, vector.digest, "{}", vector.name);
                assert_eq!(hex(&header.content_digest), vector.digest, "{}", vector.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done > 350, "only {done} vectors are within the profile");
    println!("{done} vectors");
}

#[test]
fn codecs_that_are_not_built_in() {
    for vector in vectors() {
        if vector.code == 0 && !vector.is_within(ZSTD, ADAPTIVE) {
            let error = decode(&vector.data, &vector.options(), false).unwrap_err();
            assert_eq!(error.code, ErrorCode::UnsupportedCodec, "{}", vector.name);
        }
    }
}

#[test]
fn every_cut_of_every_valid_file() {
    for vector in vectors() {
        if vector.code != 0 || !vector.is_within(ZSTD, ADAPTIVE) {
            continue;
        }
        for cut in 0..vector.data.len() {
            let error = Payload::open(&vector.data[..cut], &vector.options()).unwrap_err();
            assert_eq!(error.code, ErrorCode::Truncated, "{} cut to {cut} bytes", vector.name);
        }
    }
}

/// Streams that end early under right checksums, so that the codecs meet them.
#[test]
fn every_cut_of_every_stream() {
    for vector in vectors() {
        if vector.code != 0 || !vector.is_within(ZSTD, ADAPTIVE) || vector.data.len() > 2500 {
            continue;
        }
        let sections = common::bodies(&vector.data);
        for (which, (_, offset, length)) in sections.iter().enumerate().take(2) {
            for cut in 0..*length {
                let data = with_body(&vector.data, which, &vector.data[*offset..offset + cut]);
                let options = vector.options();
                let fast = decode(&data, &options, false);
                assert!(fast.is_err(), "{}: section {which} cut to {cut} bytes", vector.name);
                assert_eq!(fast, decode(&data, &options, true), "{}", vector.name);
            }
        }
    }
}

/// The file with another body in one section.
fn with_body(data: &[u8], which: usize, body: &[u8]) -> Vec<u8> {
    let fixed = if data[11] & 1 == 1 { 54 } else { 46 };
    let mut out = data[..fixed].to_vec();
    let mut rest = Vec::new();
    for (n, (kind, offset, length)) in common::bodies(data).into_iter().enumerate() {
        let mine = if n == which { body } else { &data[offset..offset + length] };
        out.push(kind);
        let mut size = mine.len();
        while size > 0x7F {
            out.push(size as u8 | 0x80);
            size >>= 7;
        }
        out.push(size as u8);
        rest.extend_from_slice(mine);
        rest.extend([0; 4]);
    }
    out.extend([0; 4]);
    out[10] = out.len() as u8;
    out.extend(rest);
    common::repair(&mut out);
    out
}

#[test]
fn slices_that_are_too_short() {
    for vector in vectors() {
        if vector.code != 0 || !vector.is_within(ZSTD, ADAPTIVE) {
            continue;
        }
        let options = vector.options();
        let payload = Payload::open(&vector.data, &options).unwrap();
        let need = payload.memory();
        for which in 0..5 {
            let size = |n: usize, full: usize| if n == which { full.saturating_sub(1) } else { full };
            if [need.indices, need.labels, need.scratch_least, need.frame, need.states][which] == 0 {
                continue;
            }
            let mut indices = vec![7; size(0, need.indices)];
            let mut labels = vec![7; size(1, need.labels)];
            let mut scratch = vec![7; size(2, need.scratch_least)];
            let mut frame = vec![7; size(3, need.frame)];
            let mut states = vec![7; size(4, need.states)];
            let work = plada::Work::new(&mut indices, &mut labels, &mut scratch);
            let mut work = work.states(&mut states).frame(&mut frame);
            // too little memory can be enough for a small table, or for a mode that learns nothing
            match payload.decode(&mut work) {
                Err(error) => assert_eq!(error.code, ErrorCode::InvalidArgument, "{} slice {which}", vector.name),
                Ok(()) => assert!([2, 4].contains(&which), "{}", vector.name),
            }
        }
    }
}
