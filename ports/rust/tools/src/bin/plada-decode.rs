//! Show what a payload says, or write its content as CSV.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

use plada::{Header, Limits, Options, Payload};
use plada_tools::{hex, options, Buffers};

const USAGE: &str = "\
usage: plada-decode [OPTIONS] info FILE     what the file says of itself, and whether its content is right
       plada-decode [OPTIONS] csv FILE      the content: a line 'index,label' for each kept image, in order
       FILE may be - for standard input

options: --pool-size N         images in your pool; another number in the file is an error
         --fingerprint HEX     32 hexadecimal digits of your pool
         --groups FILE         numbers of the first images of your pool's groups, one a line
         --max-pool N, --max-kept K
                               limits without --pool-size (default 268435456 and 33554432)

exit code: 0 done; 1 the payload is refused; 2 the command cannot be carried out";

#[derive(Default)]
struct Arguments {
    command: String,
    file: String,
    pool_size: Option<u32>,
    fingerprint: Option<[u8; 16]>,
    groups: Option<Vec<u32>>,
    limits: Limits,
}

fn number(text: &str, what: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| format!("{what} must be a number from 0 to {}, not '{text}'", u32::MAX))
}

fn fingerprint(text: &str) -> Result<[u8; 16], String> {
    let mut out = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return Err(format!("--fingerprint must be 32 hexadecimal digits, not '{text}'"));
    }
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16)
            .map_err(|_| format!("--fingerprint must be 32 hexadecimal digits, not '{text}'"))?;
    }
    Ok(out)
}

fn starts(path: &str) -> Result<Vec<u32>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    text.lines().map(|line| number(line, path)).collect()
}

fn parse(arguments: &mut dyn Iterator<Item = String>) -> Result<Arguments, String> {
    let mut out = Arguments::default();
    let mut plain = Vec::new();
    while let Some(word) = arguments.next() {
        if !word.starts_with("--") {
            plain.push(word);
            continue;
        }
        let value = arguments.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--pool-size" => out.pool_size = Some(number(&value, &word)?),
            "--fingerprint" => out.fingerprint = Some(fingerprint(&value)?),
            "--groups" => out.groups = Some(starts(&value)?),
            "--max-pool" => out.limits.pool_size = number(&value, &word)?,
            "--max-kept" => out.limits.count = number(&value, &word)?,
            _ => return Err(format!("unknown option {word}\n{USAGE}")),
        }
    }
    match <[String; 2]>::try_from(plain) {
        Ok([command, file]) if command == "info" || command == "csv" => {
            out.command = command;
            out.file = file;
            Ok(out)
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    if path != "-" {
        return std::fs::read(path);
    }
    let mut data = Vec::new();
    io::stdin().read_to_end(&mut data)?;
    Ok(data)
}

fn expectations(arguments: &Arguments) -> Options<'_> {
    let mut options = options().limits(arguments.limits);
    if let Some(images) = arguments.pool_size {
        options = options.pool_size(images);
    }
    if let Some(fingerprint) = arguments.fingerprint {
        options = options.fingerprint(fingerprint);
    }
    if let Some(groups) = &arguments.groups {
        options = options.groups(groups);
    }
    options
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        0x00 => "index-bitmap",
        0x01 => "index-golomb",
        0x02 => "index-runs",
        0x03 => "index-rans",
        0x08 => "index-adaptive",
        0x09 => "index-adaptive-groups",
        0x10 => "index-delta-zstd",
        0x11 => "index-bitmap-zstd",
        0x20 => "label-fixed",
        0x21 => "label-huffman",
        0x22 => "label-runs",
        0x23 => "label-rans",
        0x28 => "label-adaptive",
        0x29 => "label-adaptive-groups",
        0x30 => "label-zstd",
        0x80 => "class names",
        0x81 => "metadata",
        0x82 => "image weights",
        0x83 => "average soft labels",
        0xC0..=0xDF => "private",
        0xFF => "signature",
        _ => "unknown",
    }
}

fn describe(header: &Header, size: usize, payload: &Payload<'_>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{name:<18}{value}");
    };
    line("format version", &format!("1.{}", header.minor));
    line("file size", &format!("{size} bytes"));
    line("pool size", &header.pool_size);
    line("kept images", &header.count);
    line("classes", &header.num_classes);
    line("pool fingerprint", &header.fingerprint.map_or("none".to_owned(), |f| hex(&f)));
    line("content digest", &hex(&header.content_digest));
    if let Some(digest) = header.group_digest {
        line("group digest", &hex(&digest));
    }
    for section in payload.sections() {
        let name = kind_name(section.kind);
        let (kind, offset, length) = (section.kind, section.offset, section.body.len());
        line(&format!("section 0x{kind:02X}"), &format!("{name}, {length} bytes at {offset}"));
    }
    out
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let data = read(&arguments.file).map_err(|error| format!("{}: {error}", arguments.file))?;
    let refused = |error: plada::Error| {
        eprintln!("plada-decode: {}: {error}", arguments.file);
        ExitCode::FAILURE
    };
    let payload = match Payload::open(&data, &expectations(arguments)) {
        Ok(payload) => payload,
        Err(error) => return Ok(refused(error)),
    };
    let mut buffers = Buffers::default();
    let mut out = BufWriter::new(io::stdout().lock());
    let failed = |error: io::Error| format!("standard output: {error}");
    if arguments.command == "info" {
        let text = describe(payload.header(), data.len(), &payload);
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    }
    let (indices, labels) = match buffers.decode(&payload) {
        Ok(content) => content,
        Err(error) => return Ok(refused(error)),
    };
    if arguments.command == "info" {
        writeln!(out, "{:<18}right", "content").map_err(failed)?;
    } else {
        writeln!(out, "index,label").map_err(failed)?;
        for (index, label) in indices.iter().zip(labels) {
            writeln!(out, "{index},{label}").map_err(failed)?;
        }
    }
    out.flush().map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    match parse(&mut std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
