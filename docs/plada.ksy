# Kaitai Struct description of the container of plada payloads (best effort; SPEC.md decides). It does not look inside streams,
# and it does not check CRCs, digests or canonical form.
meta:
  id: plada
  title: plada payload
  file-extension: plada
  license: Apache-2.0
  endian: le
  imports:
    - /common/vlq_base128_le
seq:
  - id: signature
    contents: [0x89, PLA, 0x0d, 0x0a, 0x1a, 0x0a]
  - id: major
    type: u1
    valid: 1
  - id: minor
    type: u1
  - id: header_length
    type: u1
    valid:
      min: 54
  - id: flags
    type: u1
    doc: bit 0, a group digest follows the content digest
    valid:
      max: 1
  - id: pool_size
    type: u4
  - id: kept
    type: u4
  - id: classes_minus_1
    type: u2
  - id: pool_fingerprint
    size: 16
  - id: content_digest
    size: 8
  - id: group_digest
    size: 8
    if: flags == 1
  - id: table
    size: header_length - 50 - 8 * flags
    type: section_table
  - id: header_crc32
    type: u4
  - id: sections
    type: section(_index)
    repeat: expr
    repeat-expr: table.entries.size
types:
  section_table:
    seq:
      - id: entries
        type: entry
        repeat: eos
  entry:
    seq:
      - id: section_type
        type: u1
        enum: section_type
      - id: length
        type: vlq_base128_le
  section:
    params:
      - id: number
        type: s4
    seq:
      - id: body
        size: _parent.table.entries[number].length.value
      - id: crc32
        type: u4
        doc: CRC-32 of the type byte and the body
enums:
  section_type:
    0x00: index_bitmap
    0x01: index_golomb
    0x02: index_runs
    0x03: index_rans
    0x08: index_adaptive
    0x09: index_adaptive_groups
    0x10: index_delta_zstd
    0x11: index_bitmap_zstd
    0x20: label_fixed
    0x21: label_huffman
    0x22: label_runs
    0x23: label_rans
    0x28: label_adaptive
    0x29: label_adaptive_groups
    0x30: label_zstd
    0x80: class_names
    0x81: metadata
    0x82: weights
    0x83: soft_labels
    0xff: signature
