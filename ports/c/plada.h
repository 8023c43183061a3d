/* plada.h - a decoder for plada payloads, format 1.1, in one C99 header.
 *
 * In ONE source file:   #define PLADA_IMPLEMENTATION
 *                       #include "plada.h"
 * everywhere else:      #include "plada.h"
 *
 * It allocates nothing, prints nothing, keeps no state between calls and trusts no byte of the file. Paragraph numbers
 * are those of SPEC.md. Before the include that has PLADA_IMPLEMENTATION you may define
 *   PLADA_NO_ADAPTIVE   leave out the adaptive codecs: a baseline reader, smaller code, far less scratch
 *   PLADA_ZSTD          decode the Zstandard codecs with libzstd (which calls malloc); needs <zstd.h> and -lzstd
 *   PLADA_SMALL         smaller and slower code, no look-up tables; the default where the compiler optimises for size
 *   PLADA_TABLE_BITS    4..16, default 11: 2^this entries of look-up tables in scratch, 8 bytes each
 *   PLADA_STATIC        make all functions static
 * Define them in the same way for every file that includes this header.
 *
 * Licence: Apache-2.0.
 */
#ifndef PLADA_H
#define PLADA_H

#include <stddef.h>
#include <stdint.h>

#ifdef PLADA_STATIC
#define PLADA_API static
#else
#define PLADA_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Section 9. plada_error_name() gives the names. */
enum plada_error {
    PLADA_OK = 0,
    PLADA_NOT_PLADA = 1,
    PLADA_TRUNCATED = 2,
    PLADA_UNSUPPORTED_VERSION = 3,
    PLADA_HEADER_LENGTH = 4,
    PLADA_HEADER_CRC = 5,
    PLADA_UNSUPPORTED_FLAG = 6,
    PLADA_BAD_VARINT = 7,
    PLADA_SECTION_ORDER = 8,
    PLADA_UNKNOWN_CRITICAL_SECTION = 9,
    PLADA_UNSUPPORTED_CODEC = 10,
    PLADA_MINOR_VERSION = 11,
    PLADA_COUNT_EXCEEDS_POOL = 12,
    PLADA_LIMIT = 13,
    PLADA_POOL_SIZE_MISMATCH = 14,
    PLADA_POOL_MISMATCH = 15,
    PLADA_POOL_UNIDENTIFIED = 16,
    PLADA_GROUPS_MISMATCH = 17,
    PLADA_TRAILING_DATA = 18,
    PLADA_SECTION_CRC = 19,
    PLADA_STREAM_TRUNCATED = 20,
    PLADA_STREAM_OVERLONG = 21,
    PLADA_PADDING = 22,
    PLADA_PARAMETER = 23,
    PLADA_TABLE = 24,
    PLADA_CODER_STATE = 25,
    PLADA_INDEX_RANGE = 26,
    PLADA_LABEL_RANGE = 27,
    PLADA_NON_CANONICAL = 28,
    PLADA_ZSTD_FRAME = 29,
    PLADA_CONTENT_DIGEST = 30,
    PLADA_TEXT = 31,
    PLADA_SECTION_CONTENT = 32,
    PLADA_GROUPS_REQUIRED = 33,
    PLADA_GROUPS_FLAG = 34,
    /* Mistakes of the caller, not of the file. */
    PLADA_INVALID_ARGUMENT = 64, /* a null pointer, group starts that are no group starts, a fingerprint of zeros */
    PLADA_BUFFER_TOO_SMALL = 128, /* capacity < count, or scratch_words < plada_scratch_words() */
    PLADA_NO_SECTION = 129 /* the payload has no such section */
};

enum plada_section_type {
    PLADA_CLASS_NAMES = 0x80,
    PLADA_METADATA = 0x81,
    PLADA_WEIGHTS = 0x82,
    PLADA_SOFT_LABELS = 0x83,
    PLADA_SIGNATURE = 0xFF
};

/* What the header says; filled by plada_read_header(). */
typedef struct plada_info {
    uint32_t pool_size;       /* N */
    uint32_t count;           /* k, kept images, at most pool_size */
    uint32_t num_classes;     /* K, 1..65536 */
    uint64_t file_size;       /* bytes that the whole file must have */
    uint8_t minor_version;
    uint8_t flags;            /* bit 0: group_digest is there */
    uint8_t index_codec;
    uint8_t label_codec;
    uint8_t has_fingerprint;  /* 0: the payload does not say to which pool it belongs */
    uint8_t num_sections;     /* index and label stream included; plada_section_at() lists them */
    uint8_t fingerprint[16];
    uint8_t content_digest[8];
    uint8_t group_digest[8];  /* zeros without the flag */
    uint8_t header_length;    /* H */
    uint8_t table_length;
    uint8_t table[208];       /* the section table as it stands in the file */
} plada_info;

/* What the caller knows. Start from plada_default_options(). */
typedef struct plada_options {
    int has_pool_size;          /* 1: the payload must be for a pool of pool_size images */
    uint32_t pool_size;
    uint32_t limit_pool_size;   /* largest N and k that are accepted when has_pool_size is 0 */
    uint32_t limit_count;
    const uint8_t *fingerprint; /* 16 bytes, not all zero, that the payload must carry; or null: any */
    const uint32_t *groups;     /* numbers of the first images of the pool's groups; or null: not known */
    size_t num_groups;
    int strict;                 /* 1: check ancillary sections too (step 14); 0: only their CRC */
} plada_options;

/* Where plada_decode() writes. After an error, what it has written means nothing and must not be used. */
typedef struct plada_memory {
    uint32_t *indices;    /* capacity entries: the kept image numbers, ascending */
    uint16_t *labels;     /* capacity entries: the class of each, below num_classes */
    size_t capacity;      /* at least info.count */
    uint32_t *scratch;    /* scratch_words entries */
    size_t scratch_words; /* at least plada_scratch_words(&info) */
} plada_memory;

typedef struct plada_section {
    uint64_t offset; /* of the body in the file */
    uint32_t length; /* of the body, without its CRC */
    uint8_t type;
} plada_section;

/* No expectations, limits 2^28 and 2^25, strict. */
PLADA_API plada_options plada_default_options(void);

/* Steps 1 to 8: the header alone. `data` may be the whole file or any beginning of it; 255 bytes always suffice. */
PLADA_API int plada_read_header(const uint8_t *data, size_t size, plada_info *info);

/* Step 9: the header against what the caller expects. Do this before you allocate. */
PLADA_API int plada_check(const plada_info *info, const plada_options *options);

/* Words of scratch that plada_decode(), plada_weights() and plada_soft_labels() need for this payload. */
PLADA_API size_t plada_scratch_words(const plada_info *info);

/* All steps, on the whole file. Returns PLADA_OK or the code of the first failure. */
PLADA_API int plada_decode(const uint8_t *data, size_t size, const plada_options *options, const plada_memory *memory);

/* Section number 0..num_sections-1; 0 is the index stream, 1 the label stream. Returns PLADA_OK or PLADA_NO_SECTION. */
PLADA_API int plada_section_at(const plada_info *info, unsigned number, plada_section *section);
PLADA_API int plada_find_section(const plada_info *info, unsigned type, plada_section *section);

/* Access to ancillary sections of a file that plada_decode() has accepted. Texts are UTF-8, not ended by a zero. */
PLADA_API int plada_class_name(const uint8_t *data, size_t size, const plada_info *info, uint32_t number,
                               const uint8_t **text, uint32_t *length);
PLADA_API int plada_metadata(const uint8_t *data, size_t size, const plada_info *info, uint32_t number,
                             const uint8_t **key, uint32_t *key_length, const uint8_t **value, uint32_t *value_length);
/* q[count]: the weight of image j is 2^((q[j] - 128) / 16). */
PLADA_API int plada_weights(const uint8_t *data, size_t size, const plada_info *info, uint8_t *q, uint32_t *scratch,
                            size_t scratch_words);
/* q[K * K], row by row: the probability of class j for images with label c is q[c * K + j] / 255. */
PLADA_API int plada_soft_labels(const uint8_t *data, size_t size, const plada_info *info, uint8_t *q, uint32_t *scratch,
                                size_t scratch_words);

PLADA_API const char *plada_error_name(int code);
PLADA_API void plada_content_digest(uint32_t pool_size, uint32_t count, uint32_t num_classes, const uint32_t *indices,
                                    const uint16_t *labels, uint8_t digest[8]);
PLADA_API void plada_group_digest(const uint32_t *groups, size_t num_groups, uint8_t digest[8]);
PLADA_API uint32_t plada_crc32(const uint8_t *data, size_t size);
PLADA_API void plada_sha256(const uint8_t *data, size_t size, uint8_t digest[32]);

#ifdef __cplusplus
}
#endif

#endif /* PLADA_H */

#ifdef PLADA_IMPLEMENTATION
#ifndef PLADA_IMPLEMENTED
#define PLADA_IMPLEMENTED

#include <string.h>

#ifdef PLADA_ZSTD
#include <zstd.h>
#endif

#ifndef PLADA_TABLE_BITS
#define PLADA_TABLE_BITS 11
#endif
#if PLADA_TABLE_BITS < 4 || PLADA_TABLE_BITS > 16
#error "PLADA_TABLE_BITS must be 4..16"
#endif

/* Loops that deserve registers; in small code they are ordinary functions. */
#if defined(__OPTIMIZE_SIZE__) && !defined(PLADA_SMALL)
#define PLADA_SMALL
#endif
#if defined(__GNUC__) && defined(__OPTIMIZE__) && !defined(PLADA_SMALL)
#define PLADA__HOT static inline __attribute__((always_inline))
#define PLADA__COLD static __attribute__((noinline))
#define PLADA__PREFETCH(p) __builtin_prefetch(p)
#if defined(__clang__) || __GNUC__ < 8
#define PLADA__UNROLL
#else
#define PLADA__UNROLL _Pragma("GCC unroll 4")
#endif
#else
#define PLADA__UNROLL
#define PLADA__PREFETCH(p) (void)(p)
#ifdef __GNUC__
#define PLADA__COLD static __attribute__((noinline))
#else
#define PLADA__COLD static
#endif
#define PLADA__HOT static
#endif

#ifdef PLADA_SMALL
#define PLADA__TABLE_WORDS ((uint32_t)0)
#else
#define PLADA__TABLE_WORDS ((uint32_t)1 << PLADA_TABLE_BITS)
#endif
#define PLADA__TRY(call)                       \
    do {                                       \
        int plada__error = (call);             \
        if (plada__error) return plada__error; \
    } while (0)

/* ---- Bytes and bits (section 2) ------------------------------------------------------------------------------ */

PLADA__HOT uint32_t plada__u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

PLADA__HOT uint32_t plada__u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void plada__put32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

typedef struct plada__reader {
    const uint8_t *data;
    size_t size;
    size_t at;
} plada__reader;

PLADA__COLD uint64_t plada__load_end(const plada__reader *in, uint64_t at)
{
    uint64_t value = 0;
    unsigned shift;
    for (shift = 0; shift < 64 && at < in->size; shift += 8, at++) value |= (uint64_t)in->data[(size_t)at] << shift;
    return value;
}

/* The 8 bytes at `at`, least significant first; those beyond the end are 0. */
PLADA__HOT uint64_t plada__load64(const plada__reader *in, uint64_t at)
{
#ifndef PLADA_SMALL
    if (at + 8 <= in->size) {
        const uint8_t *p = in->data + (size_t)at;
        return (uint64_t)plada__u32(p) | (uint64_t)plada__u32(p + 4) << 32;
    }
#endif
    return plada__load_end(in, at);
}

/* The field of `width` <= 32 bits at bit position `at`; bits beyond the end are 0. */
PLADA__HOT uint32_t plada__bits(const plada__reader *in, uint64_t at, unsigned width)
{
    uint64_t window = plada__load64(in, at >> 3) >> (at & 7);
    return (uint32_t)(window & (((uint64_t)1 << width) - 1));
}

/* Trailing zeros of x > 0. */
PLADA__HOT unsigned plada__ctz64(uint64_t x)
{
#ifdef __GNUC__
    return (unsigned)__builtin_ctzll(x);
#else
    unsigned n = 0;
    if (!(x & 0xFFFFFFFFu)) n += 32, x >>= 32;
    if (!(x & 0xFFFFu)) n += 16, x >>= 16;
    if (!(x & 0xFFu)) n += 8, x >>= 8;
    if (!(x & 0xFu)) n += 4, x >>= 4;
    if (!(x & 3u)) n += 2, x >>= 2;
    return n + (unsigned)(~x & 1);
#endif
}

/* floor(log2 x), x > 0. */
PLADA__HOT unsigned plada__log2(uint32_t x)
{
#ifdef __GNUC__
    return (unsigned)(sizeof(unsigned long) * 8 - 1) - (unsigned)__builtin_clzl(x);
#else
    unsigned n = 0;
    if (x >> 16) n += 16, x >>= 16;
    if (x >> 8) n += 8, x >>= 8;
    if (x >> 4) n += 4, x >>= 4;
    if (x >> 2) n += 2, x >>= 2;
    return n + (unsigned)(x >> 1);
#endif
}

/* ceil(log2 x), x > 0. */
static unsigned plada__log2_up(uint32_t x)
{
    return x == 1 ? 0 : plada__log2(x - 1) + 1;
}

#ifndef PLADA_SMALL
PLADA__HOT unsigned plada__ones(uint64_t x)
{
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (unsigned)((x * UINT64_C(0x0101010101010101)) >> 56);
}
#endif

static size_t plada__left(const plada__reader *in)
{
    return in->size - in->at;
}

/* `missing` is the error for bytes that end too early. */
static int plada__varint(plada__reader *in, uint32_t *value, int missing)
{
    uint32_t result = 0;
    unsigned n;
    *value = 0;
    for (n = 0; n < 5; n++) {
        uint32_t byte;
        if (in->at == in->size) return missing;
        byte = in->data[in->at++];
        if (n == 4 && byte > 0x0F) return PLADA_BAD_VARINT;
        result |= (byte & 0x7F) << (7 * n);
        if (byte < 0x80) {
            if (byte == 0 && n > 0) return PLADA_BAD_VARINT;
            break;
        }
    }
    *value = result;
    return PLADA_OK;
}

/* The bits after bit position `at` up to the byte boundary must be 0; goes on behind them. */
PLADA__COLD int plada__padding(plada__reader *in, uint64_t at)
{
    in->at = (size_t)((at + 7) >> 3);
    return (at & 7) && in->data[in->at - 1] >> (at & 7) ? PLADA_PADDING : PLADA_OK;
}

/* The whole stream is so many bits and their padding. */
PLADA__COLD int plada__exactly(plada__reader *in, uint64_t bits)
{
    uint64_t size = (bits + 7) >> 3;
    if (in->size != size) return in->size < size ? PLADA_STREAM_TRUNCATED : PLADA_STREAM_OVERLONG;
    return plada__padding(in, bits);
}

static int plada__end(const plada__reader *in)
{
    return in->at == in->size ? PLADA_OK : PLADA_STREAM_OVERLONG;
}

/* ---- CRC-32 and SHA-256 ---------------------------------------------------------------------------------------- */

#ifdef PLADA_SMALL
static uint32_t plada__crc_update(uint32_t crc, const uint8_t *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    for (; size; size--) {
        crc ^= *data++;
        crc = table[crc & 15] ^ crc >> 4;
        crc = table[crc & 15] ^ crc >> 4;
    }
    return crc;
}
#else
static const uint32_t plada__crc_table[256] = {
    0x00000000, 0x77073096, 0xEE0E612C, 0x990951BA, 0x076DC419, 0x706AF48F, 0xE963A535, 0x9E6495A3,
    0x0EDB8832, 0x79DCB8A4, 0xE0D5E91E, 0x97D2D988, 0x09B64C2B, 0x7EB17CBD, 0xE7B82D07, 0x90BF1D91,
    0x1DB71064, 0x6AB020F2, 0xF3B97148, 0x84BE41DE, 0x1ADAD47D, 0x6DDDE4EB, 0xF4D4B551, 0x83D385C7,
    0x136C9856, 0x646BA8C0, 0xFD62F97A, 0x8A65C9EC, 0x14015C4F, 0x63066CD9, 0xFA0F3D63, 0x8D080DF5,
    0x3B6E20C8, 0x4C69105E, 0xD56041E4, 0xA2677172, 0x3C03E4D1, 0x4B04D447, 0xD20D85FD, 0xA50AB56B,
    0x35B5A8FA, 0x42B2986C, 0xDBBBC9D6, 0xACBCF940, 0x32D86CE3, 0x45DF5C75, 0xDCD60DCF, 0xABD13D59,
    0x26D930AC, 0x51DE003A, 0xC8D75180, 0xBFD06116, 0x21B4F4B5, 0x56B3C423, 0xCFBA9599, 0xB8BDA50F,
    0x2802B89E, 0x5F058808, 0xC60CD9B2, 0xB10BE924, 0x2F6F7C87, 0x58684C11, 0xC1611DAB, 0xB6662D3D,
    0x76DC4190, 0x01DB7106, 0x98D220BC, 0xEFD5102A, 0x71B18589, 0x06B6B51F, 0x9FBFE4A5, 0xE8B8D433,
    0x7807C9A2, 0x0F00F934, 0x9609A88E, 0xE10E9818, 0x7F6A0DBB, 0x086D3D2D, 0x91646C97, 0xE6635C01,
    0x6B6B51F4, 0x1C6C6162, 0x856530D8, 0xF262004E, 0x6C0695ED, 0x1B01A57B, 0x8208F4C1, 0xF50FC457,
    0x65B0D9C6, 0x12B7E950, 0x8BBEB8EA, 0xFCB9887C, 0x62DD1DDF, 0x15DA2D49, 0x8CD37CF3, 0xFBD44C65,
    0x4DB26158, 0x3AB551CE, 0xA3BC0074, 0xD4BB30E2, 0x4ADFA541, 0x3DD895D7, 0xA4D1C46D, 0xD3D6F4FB,
    0x4369E96A, 0x346ED9FC, 0xAD678846, 0xDA60B8D0, 0x44042D73, 0x33031DE5, 0xAA0A4C5F, 0xDD0D7CC9,
    0x5005713C, 0x270241AA, 0xBE0B1010, 0xC90C2086, 0x5768B525, 0x206F85B3, 0xB966D409, 0xCE61E49F,
    0x5EDEF90E, 0x29D9C998, 0xB0D09822, 0xC7D7A8B4, 0x59B33D17, 0x2EB40D81, 0xB7BD5C3B, 0xC0BA6CAD,
    0xEDB88320, 0x9ABFB3B6, 0x03B6E20C, 0x74B1D29A, 0xEAD54739, 0x9DD277AF, 0x04DB2615, 0x73DC1683,
    0xE3630B12, 0x94643B84, 0x0D6D6A3E, 0x7A6A5AA8, 0xE40ECF0B, 0x9309FF9D, 0x0A00AE27, 0x7D079EB1,
    0xF00F9344, 0x8708A3D2, 0x1E01F268, 0x6906C2FE, 0xF762575D, 0x806567CB, 0x196C3671, 0x6E6B06E7,
    0xFED41B76, 0x89D32BE0, 0x10DA7A5A, 0x67DD4ACC, 0xF9B9DF6F, 0x8EBEEFF9, 0x17B7BE43, 0x60B08ED5,
    0xD6D6A3E8, 0xA1D1937E, 0x38D8C2C4, 0x4FDFF252, 0xD1BB67F1, 0xA6BC5767, 0x3FB506DD, 0x48B2364B,
    0xD80D2BDA, 0xAF0A1B4C, 0x36034AF6, 0x41047A60, 0xDF60EFC3, 0xA867DF55, 0x316E8EEF, 0x4669BE79,
    0xCB61B38C, 0xBC66831A, 0x256FD2A0, 0x5268E236, 0xCC0C7795, 0xBB0B4703, 0x220216B9, 0x5505262F,
    0xC5BA3BBE, 0xB2BD0B28, 0x2BB45A92, 0x5CB36A04, 0xC2D7FFA7, 0xB5D0CF31, 0x2CD99E8B, 0x5BDEAE1D,
    0x9B64C2B0, 0xEC63F226, 0x756AA39C, 0x026D930A, 0x9C0906A9, 0xEB0E363F, 0x72076785, 0x05005713,
    0x95BF4A82, 0xE2B87A14, 0x7BB12BAE, 0x0CB61B38, 0x92D28E9B, 0xE5D5BE0D, 0x7CDCEFB7, 0x0BDBDF21,
    0x86D3D2D4, 0xF1D4E242, 0x68DDB3F8, 0x1FDA836E, 0x81BE16CD, 0xF6B9265B, 0x6FB077E1, 0x18B74777,
    0x88085AE6, 0xFF0F6A70, 0x66063BCA, 0x11010B5C, 0x8F659EFF, 0xF862AE69, 0x616BFFD3, 0x166CCF45,
    0xA00AE278, 0xD70DD2EE, 0x4E048354, 0x3903B3C2, 0xA7672661, 0xD06016F7, 0x4969474D, 0x3E6E77DB,
    0xAED16A4A, 0xD9D65ADC, 0x40DF0B66, 0x37D83BF0, 0xA9BCAE53, 0xDEBB9EC5, 0x47B2CF7F, 0x30B5FFE9,
    0xBDBDF21C, 0xCABAC28A, 0x53B39330, 0x24B4A3A6, 0xBAD03605, 0xCDD70693, 0x54DE5729, 0x23D967BF,
    0xB3667A2E, 0xC4614AB8, 0x5D681B02, 0x2A6F2B94, 0xB40BBE37, 0xC30C8EA1, 0x5A05DF1B, 0x2D02EF8D,
};

/* x^(8 * bytes) modulo the polynomial, times crc: the CRC's register after that many zero bytes. */
static uint32_t plada__crc_product(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        if (a >> 31) product ^= b;
        b = b >> 1 ^ (b & 1 ? UINT32_C(0xEDB88320) : 0);
    }
    return product;
}

static uint32_t plada__crc_zeros(uint32_t crc, size_t bytes)
{
    uint32_t power = UINT32_C(0x00800000); /* x^8, most significant bit first */
    for (; bytes; bytes >>= 1) {
        if (bytes & 1) crc = plada__crc_product(power, crc);
        power = plada__crc_product(power, power);
    }
    return crc;
}

static uint32_t plada__crc_update(uint32_t crc, const uint8_t *data, size_t size)
{
    size_t i, part = size / 8 * 4;
    /* Two halves at once, since look-ups wait for each other; four bytes at a time. */
    if (part >= 2048) {
        const uint8_t *p = data + part;
        uint32_t table[4][256], c = 0;
        for (i = 0; i < 256; i++) {
            uint32_t t = table[0][i] = plada__crc_table[i];
            t = table[1][i] = plada__crc_table[t & 0xFF] ^ t >> 8;
            t = table[2][i] = plada__crc_table[t & 0xFF] ^ t >> 8;
            table[3][i] = plada__crc_table[t & 0xFF] ^ t >> 8;
        }
        for (i = 0; i < part; i += 4) {
            crc ^= plada__u32(data + i);
            c ^= plada__u32(p + i);
            crc = table[3][crc & 0xFF] ^ table[2][crc >> 8 & 0xFF] ^ table[1][crc >> 16 & 0xFF] ^ table[0][crc >> 24];
            c = table[3][c & 0xFF] ^ table[2][c >> 8 & 0xFF] ^ table[1][c >> 16 & 0xFF] ^ table[0][c >> 24];
        }
        crc = plada__crc_zeros(crc, part) ^ c;
        data += 2 * part;
        size -= 2 * part;
    }
    for (i = 0; i < size; i++) crc = plada__crc_table[(crc ^ data[i]) & 0xFF] ^ crc >> 8;
    return crc;
}
#endif

PLADA_API uint32_t plada_crc32(const uint8_t *data, size_t size)
{
    return ~plada__crc_update(UINT32_C(0xFFFFFFFF), data, size);
}

static const uint32_t plada__sha_constants[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

typedef struct plada__sha {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
} plada__sha;

static uint32_t plada__rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void plada__sha_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[16], v[8];
    unsigned i;
    for (i = 0; i < 8; i++) v[i] = state[i];
    for (i = 0; i < 64; i++) {
        uint32_t word, t1, t2;
        if (i < 16) {
            word = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
        } else {
            uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
            word = w[i & 15] + w[(i + 9) & 15] + (plada__rotate(a, 7) ^ plada__rotate(a, 18) ^ a >> 3)
                 + (plada__rotate(b, 17) ^ plada__rotate(b, 19) ^ b >> 10);
        }
        w[i & 15] = word;
        t1 = v[7] + (plada__rotate(v[4], 6) ^ plada__rotate(v[4], 11) ^ plada__rotate(v[4], 25))
           + (v[6] ^ (v[4] & (v[5] ^ v[6]))) + plada__sha_constants[i] + word;
        t2 = (plada__rotate(v[0], 2) ^ plada__rotate(v[0], 13) ^ plada__rotate(v[0], 22))
           + ((v[0] & v[1]) | (v[2] & (v[0] | v[1])));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1;
        v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t1 + t2;
    }
    for (i = 0; i < 8; i++) state[i] += v[i];
}

static void plada__sha_start(plada__sha *sha)
{
    static const uint32_t start[8] = { 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                       0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19 };
    memcpy(sha->state, start, sizeof start);
    sha->size = 0;
}

static void plada__sha_update(plada__sha *sha, const uint8_t *data, size_t size)
{
    while (size) {
        size_t used = (size_t)(sha->size & 63), n = 64 - used;
        if (n > size) n = size;
        if (n == 64) {
            plada__sha_block(sha->state, data);
        } else {
            memcpy(sha->block + used, data, n);
            if (used + n == 64) plada__sha_block(sha->state, sha->block);
        }
        sha->size += n;
        data += n;
        size -= n;
    }
}

static void plada__sha_finish(plada__sha *sha, uint8_t *digest, unsigned n)
{
    uint64_t bits = sha->size * 8;
    uint8_t length[8], pad = 0x80;
    unsigned i;
    do {
        plada__sha_update(sha, &pad, 1);
        pad = 0;
    } while ((sha->size & 63) != 56);
    for (i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    plada__sha_update(sha, length, 8);
    for (i = 0; i < n; i++) digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i & 3)));
}

PLADA_API void plada_sha256(const uint8_t *data, size_t size, uint8_t digest[32])
{
    plada__sha sha;
    plada__sha_start(&sha);
    plada__sha_update(&sha, data, size);
    plada__sha_finish(&sha, digest, 32);
}

/* n numbers of 4 bytes, or if `wide` is null of 2 bytes. */
static void plada__sha_numbers(plada__sha *sha, const uint32_t *wide, const uint16_t *narrow, size_t n)
{
    uint8_t bytes[256];
    size_t at = 0, i;
    for (i = 0; i < n; i++) {
        plada__put32(bytes + at, wide ? wide[i] : narrow[i]); /* the upper half of a narrow one is written over */
        at += wide ? 4 : 2;
        if (at > 252 || i + 1 == n) {
            plada__sha_update(sha, bytes, at);
            at = 0;
        }
    }
}

/* Section 4. */
PLADA_API void plada_content_digest(uint32_t pool_size, uint32_t count, uint32_t num_classes, const uint32_t *indices,
                                    const uint16_t *labels, uint8_t digest[8])
{
    static const uint8_t tag[16] = { 'p', 'l', 'a', 'd', 'a', ' ', 'c', 'o', 'n', 't', 'e', 'n', 't', ' ', '1', 0 };
    uint32_t numbers[3];
    plada__sha sha;
    numbers[0] = pool_size, numbers[1] = count, numbers[2] = num_classes;
    plada__sha_start(&sha);
    plada__sha_update(&sha, tag, 16);
    plada__sha_numbers(&sha, numbers, 0, 3);
    plada__sha_numbers(&sha, indices, 0, count);
    plada__sha_numbers(&sha, 0, labels, count);
    plada__sha_finish(&sha, digest, 8);
}

static int plada__all_zero(const uint8_t *bytes, unsigned n)
{
    while (n--) {
        if (*bytes++) return 0;
    }
    return 1;
}

/* 16.2 */
PLADA_API void plada_group_digest(const uint32_t *groups, size_t num_groups, uint8_t digest[8])
{
    static const uint8_t tag[21] = { 'P', 'L', 'A', 'D', 'A', '-', 'p', 'o', 'o', 'l', '-',
                                     'g', 'r', 'o', 'u', 'p', 's', '-', 'v', '1', 0 };
    uint32_t number = (uint32_t)num_groups;
    plada__sha sha;
    plada__sha_start(&sha);
    plada__sha_update(&sha, tag, 21);
    plada__sha_numbers(&sha, &number, 0, 1);
    plada__sha_numbers(&sha, groups, 0, num_groups);
    plada__sha_finish(&sha, digest, 8);
    if (plada__all_zero(digest, 8)) digest[7] = 1;
}

/* ---- Header (section 3; steps 1 to 10 of section 9) ------------------------------------------------------------ */

static int plada__codec_known(unsigned type)
{
    if (type <= 0x03 || (type >= 0x20 && type <= 0x23)) return 1;
#ifndef PLADA_NO_ADAPTIVE
    if (type == 0x08 || type == 0x09 || type == 0x28 || type == 0x29) return 1;
#endif
#ifdef PLADA_ZSTD
    if (type == 0x10 || type == 0x11 || type == 0x30) return 1;
#endif
    return 0;
}

static int plada__read_table(plada_info *info, int *unknown)
{
    plada__reader in;
    int previous = -1;
    in.data = info->table, in.size = info->table_length, in.at = 0;
    info->file_size = info->header_length;
    info->num_sections = 0;
    *unknown = 0;
    while (in.at < in.size) {
        unsigned type = in.data[in.at++], expected = info->num_sections;
        uint32_t length;
        if ((int)type <= previous) return PLADA_SECTION_ORDER;
        previous = (int)type;
        if (type >= 0x40 && type < 0x80) return PLADA_UNKNOWN_CRITICAL_SECTION;
        if (expected < 2 ? type >> 5 != expected : type < 0x80) return PLADA_SECTION_ORDER;
        if (type < 0x80 && !plada__codec_known(type)) return PLADA_UNSUPPORTED_CODEC;
        PLADA__TRY(plada__varint(&in, &length, PLADA_SECTION_ORDER));
        if (type > 0x83 && type < 0xFF && !(type >= 0xC0 && type < 0xE0)) *unknown = 1;
        if (expected == 0) info->index_codec = (uint8_t)type;
        if (expected == 1) info->label_codec = (uint8_t)type;
        info->file_size += (uint64_t)length + 4;
        info->num_sections++;
    }
    return info->num_sections < 2 ? PLADA_SECTION_ORDER : PLADA_OK;
}

PLADA_API int plada_read_header(const uint8_t *data, size_t size, plada_info *info)
{
    static const uint8_t signature[8] = { 0x89, 'P', 'L', 'A', '\r', '\n', 0x1A, '\n' };
    int unknown, groups, new_feature;
    size_t length, fixed;
    if (!info || (!data && size)) return PLADA_INVALID_ARGUMENT;
    memset(info, 0, sizeof *info);
    if (size && memcmp(data, signature, size < 8 ? size : 8) != 0) return PLADA_NOT_PLADA;
    if (size < 9) return PLADA_TRUNCATED;
    if (data[8] != 1) return PLADA_UNSUPPORTED_VERSION;
    if (size < 11) return PLADA_TRUNCATED;
    length = data[10];
    if (length < 54) return PLADA_HEADER_LENGTH;
    if (size < length) return PLADA_TRUNCATED;
    if (plada_crc32(data, length - 4) != plada__u32(data + length - 4)) return PLADA_HEADER_CRC;
    if (data[11] > 1) return PLADA_UNSUPPORTED_FLAG;
    fixed = data[11] ? 54 : 46;
    if (length < fixed + 8) return PLADA_HEADER_LENGTH;

    info->minor_version = data[9];
    info->header_length = (uint8_t)length;
    info->flags = data[11];
    info->pool_size = plada__u32(data + 12);
    info->count = plada__u32(data + 16);
    info->num_classes = plada__u16(data + 20) + 1;
    memcpy(info->fingerprint, data + 22, 16);
    info->has_fingerprint = (uint8_t)!plada__all_zero(data + 22, 16);
    memcpy(info->content_digest, data + 38, 8);
    if (data[11]) memcpy(info->group_digest, data + 46, 8);
    info->table_length = (uint8_t)(length - 4 - fixed);
    memcpy(info->table, data + fixed, info->table_length);

    PLADA__TRY(plada__read_table(info, &unknown));
    groups = info->index_codec == 0x09 || info->label_codec == 0x29;
    if (groups != (int)info->flags) return PLADA_GROUPS_FLAG;
    new_feature = groups || info->index_codec == 0x08 || info->label_codec == 0x28;
    if (info->minor_version >= 2 ? !unknown : unknown || new_feature != (int)info->minor_version) {
        return PLADA_MINOR_VERSION;
    }
    return info->count > info->pool_size ? PLADA_COUNT_EXCEEDS_POOL : PLADA_OK;
}

PLADA_API int plada_section_at(const plada_info *info, unsigned number, plada_section *section)
{
    plada__reader in;
    uint64_t offset = info->header_length;
    if (number >= info->num_sections) return PLADA_NO_SECTION;
    in.data = info->table, in.size = info->table_length, in.at = 0;
    for (;;) {
        section->type = in.data[in.at++];
        plada__varint(&in, &section->length, PLADA_SECTION_ORDER); /* plada_read_header() has checked it */
        section->offset = offset;
        if (!number--) return PLADA_OK;
        offset += (uint64_t)section->length + 4;
    }
}

PLADA_API int plada_find_section(const plada_info *info, unsigned type, plada_section *section)
{
    unsigned i;
    for (i = 0; plada_section_at(info, i, section) == PLADA_OK; i++) {
        if (section->type == type) return PLADA_OK;
    }
    return PLADA_NO_SECTION;
}

PLADA_API plada_options plada_default_options(void)
{
    plada_options options;
    options.has_pool_size = 0, options.pool_size = 0;
    options.fingerprint = 0;
    options.groups = 0, options.num_groups = 0;
    options.limit_pool_size = UINT32_C(1) << 28;
    options.limit_count = UINT32_C(1) << 25;
    options.strict = 1;
    return options;
}

#ifndef PLADA_NO_ADAPTIVE
static uint64_t plada__adaptive_words(const plada_info *info);
#endif

static uint64_t plada__most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Words for a label stream of n symbols below A. */
static uint64_t plada__label_words(unsigned codec, uint64_t n, uint32_t A)
{
    if (codec == 0x21 || codec == 0x22) return (uint64_t)A + 2 * PLADA__TABLE_WORDS;
    if (codec == 0x23) return 2 * ((uint64_t)A + PLADA__TABLE_WORDS);
#ifdef PLADA_ZSTD
    if (codec == 0x30) return (n * (A > 256 ? 2 : 1) + 3) / 4;
#endif
    (void)n;
    return 0;
}

static uint64_t plada__scratch(const plada_info *info)
{
    uint64_t words = plada__label_words(info->label_codec, info->count, info->num_classes);
#ifdef PLADA_ZSTD
    plada_section section;
#endif
    if (info->index_codec == 0x03) words = plada__most(words, 2 * (124 + PLADA__TABLE_WORDS));
    /* Weights and soft labels name their codec in their body: any may come. */
    if (info->num_sections > 2) words = plada__most(words, 2 * (256 + PLADA__TABLE_WORDS));
#ifdef PLADA_ZSTD
    if (info->index_codec == 0x10) words = plada__most(words, info->count);
    if (info->index_codec == 0x11) words = plada__most(words, ((uint64_t)info->pool_size + 31) / 32);
    if (!plada_find_section(info, PLADA_WEIGHTS, &section)) {
        words = plada__most(words, plada__label_words(0x30, info->count, 256));
    }
    if (!plada_find_section(info, PLADA_SOFT_LABELS, &section) && info->num_classes <= 1024) {
        words = plada__most(words, plada__label_words(0x30, info->num_classes * info->num_classes, 256));
    }
#endif
#ifndef PLADA_NO_ADAPTIVE
    words = plada__most(words, plada__adaptive_words(info));
#endif
    return words;
}

PLADA_API size_t plada_scratch_words(const plada_info *info)
{
    uint64_t words = plada__scratch(info);
    return words > SIZE_MAX / 4 ? SIZE_MAX : (size_t)words;
}

/* Group starts begin with 0 and increase. */
static int plada__groups_valid(const plada_options *options)
{
    size_t i;
    if (options->num_groups == 0 || options->groups[0] != 0) return 0;
    for (i = 1; i < options->num_groups; i++) {
        if (options->groups[i] <= options->groups[i - 1]) return 0;
    }
    return 1;
}

PLADA_API int plada_check(const plada_info *info, const plada_options *options)
{
    if (!info || !options) return PLADA_INVALID_ARGUMENT;
    if (options->fingerprint && plada__all_zero(options->fingerprint, 16)) return PLADA_INVALID_ARGUMENT;
    if (options->has_pool_size) {
        if (info->pool_size != options->pool_size) return PLADA_POOL_SIZE_MISMATCH;
    } else if (info->pool_size > options->limit_pool_size || info->count > options->limit_count) {
        return PLADA_LIMIT;
    }
    if (plada__most(info->count, plada__scratch(info)) > SIZE_MAX / 4) return PLADA_LIMIT;
    if (options->fingerprint) {
        if (!info->has_fingerprint) return PLADA_POOL_UNIDENTIFIED;
        if (memcmp(info->fingerprint, options->fingerprint, 16) != 0) return PLADA_POOL_MISMATCH;
    }
    if (info->flags & 1) {
        uint8_t digest[8];
        if (!options->groups) return PLADA_GROUPS_REQUIRED;
        if (!plada__groups_valid(options)) return PLADA_INVALID_ARGUMENT;
        if (options->groups[options->num_groups - 1] >= info->pool_size) return PLADA_GROUPS_MISMATCH;
        plada_group_digest(options->groups, options->num_groups, digest);
        if (memcmp(digest, info->group_digest, 8) != 0) return PLADA_GROUPS_MISMATCH;
    }
    return PLADA_OK;
}

/* ---- Integer block (5.1) --------------------------------------------------------------------------------------- */

typedef struct plada__block {
    plada__reader in;       /* at: the byte after the window */
    uint64_t window;        /* part A: bits that are loaded and not yet read, */
    unsigned loaded;        /* and how many */
    uint64_t b, c;          /* bit positions of the next value in the parts B and C */
    uint64_t end_c;         /* Exp-Golomb: where part C ends */
    uint32_t divisor;       /* M; 0: Exp-Golomb */
    uint32_t threshold;     /* Golomb: u */
    unsigned width;         /* bits of a field of part B */
    int wide;               /* a value of 2^32 or more was met */
} plada__block;

/* Zero bits up to and with the next one bit of part A, which plada__block_open() has found to be there. */
PLADA__HOT uint64_t plada__unary(plada__block *block)
{
    uint64_t zeros = 0;
    unsigned n;
    while (block->window == 0) {
        zeros += block->loaded;
        block->window = plada__load64(&block->in, block->in.at);
        block->in.at += 8;
        block->loaded = 64;
    }
    n = plada__ctz64(block->window);
    block->window = block->window >> n >> 1;
    block->loaded -= n + 1;
    return zeros + n;
}

PLADA__HOT uint32_t plada__block_next(plada__block *block)
{
    uint64_t q = plada__unary(block), value;
    uint32_t low = plada__bits(&block->in, block->b, block->width);
    block->b += block->width;
    if (block->divisor) {
        uint32_t more = low >= block->threshold;
        uint32_t extra = plada__bits(&block->in, block->c, 1) & more;
        block->c += more;
        if (q >> 32) q = UINT64_C(1) << 32; /* too large in any case; the product fits 64 bits */
        value = q * block->divisor + low + ((low + extra - block->threshold) & (0 - more));
    } else {
        uint32_t extra;
        if (q > 32 - block->width) {
            block->wide = 1;
            return 0;
        }
        extra = plada__bits(&block->in, block->c, (unsigned)q);
        block->c += q;
        value = ((((uint64_t)1 << q) + extra - 1) << block->width) + low;
    }
    block->wide |= value > UINT32_C(0xFFFFFFFF);
    return (uint32_t)value;
}

/* Reads P and makes sure that the parts are there, as far as that can be known before the values (n >= 1). */
static int plada__block_open(plada__reader *in, uint32_t n, plada__block *block)
{
    uint64_t left = n, bits = (uint64_t)in->size * 8, end;
    uint32_t parameter;
    size_t at;
    PLADA__TRY(plada__varint(in, &parameter, PLADA_STREAM_TRUNCATED));
    block->in = *in;
    at = in->at;
    block->window = 0, block->loaded = 0, block->wide = 0;
    block->divisor = block->threshold = 0;
    if (parameter & 1) {
        block->width = parameter >> 1;
        if (block->width > 30) return PLADA_PARAMETER;
    } else {
        block->divisor = parameter / 2 + 1;
        if (block->divisor > UINT32_C(1) << 30) return PLADA_PARAMETER;
        block->width = plada__log2(block->divisor);
        block->threshold = (UINT32_C(2) << block->width) - block->divisor;
    }
#ifdef PLADA_SMALL
    for (end = (uint64_t)at * 8; left; end++) { /* the n-th one bit ends part A */
        if (end == bits) return PLADA_STREAM_TRUNCATED;
        left -= in->data[(size_t)(end >> 3)] >> (end & 7) & 1;
    }
#else
    for (;;) { /* the n-th one bit ends part A */
        uint64_t window = plada__load64(in, at);
        unsigned ones = plada__ones(window);
        if (ones >= left) {
            while (--left) window &= window - 1;
            end = (uint64_t)at * 8 + plada__ctz64(window) + 1;
            break;
        }
        left -= ones;
        if (in->size - at <= 8) return PLADA_STREAM_TRUNCATED;
        at += 8;
    }
#endif
    block->b = end;
    block->c = block->end_c = end + (uint64_t)n * block->width;
    if (!block->divisor) block->end_c += end - (uint64_t)in->at * 8 - n;
    if (block->end_c > bits) {
        if (!block->divisor) { /* a q that is too large comes first */
            plada__block copy = *block;
            for (left = 0; left < n; left++) {
                if (plada__unary(&copy) > 32 - block->width) return PLADA_INDEX_RANGE;
            }
        }
        return PLADA_STREAM_TRUNCATED;
    }
    return PLADA_OK;
}

/* After the last value; goes on behind the block. */
static int plada__block_close(plada__reader *in, const plada__block *block)
{
    uint64_t end = block->divisor ? block->c : block->end_c;
    if (end > (uint64_t)in->size * 8) return PLADA_STREAM_TRUNCATED;
    if (block->wide) return PLADA_INDEX_RANGE;
    return plada__padding(in, end);
}

/* Opens a block, checks all its values and goes on behind it; `block` then gives them once more. Adds them to *sum. */
static int plada__block_check(plada__reader *in, uint32_t n, plada__block *block, uint64_t *sum)
{
    plada__block copy;
    uint32_t i;
    PLADA__TRY(plada__block_open(in, n, block));
    copy = *block;
    for (i = 0; i < n; i++) *sum += plada__block_next(&copy);
    return plada__block_close(in, &copy);
}

#ifndef PLADA_SMALL
/* Where the n one bits of part A lie, from its first bit on; the part is shorter than 2^32 bits. */
static void plada__ones_at(const plada__reader *in, uint32_t n, uint32_t *places)
{
    uint32_t i = 0, place = 0;
    size_t at;
    for (at = in->at; i < n; at += 8, place += 64) {
        uint64_t window = plada__load64(in, at);
        uint32_t *p = places + i;
        if (n - i >= 64 + 3) { /* there is room to write a few too many, which are written over afterwards */
            for (i += plada__ones(window); window; p += 4) {
                unsigned j;
                PLADA__UNROLL
                for (j = 0; j < 4; j++, window &= window - 1) p[j] = place + plada__ctz64(window | UINT64_C(1) << 63);
            }
        } else {
            for (; window && i < n; window &= window - 1) places[i++] = place + plada__ctz64(window);
        }
    }
}

/* So many one bits, fewer than 32 */
PLADA__HOT uint32_t plada__mask(uint32_t q)
{
    return (UINT32_C(1) << q) - 1;
}

/* M q + r from the quotient, the field and what starts with the extra bit; *used counts the extra bits */
PLADA__HOT uint64_t plada__golomb(const plada__block *block, uint32_t q, uint32_t low, uint64_t flags, unsigned *used)
{
    uint32_t more = low >= block->threshold, extra = (uint32_t)(flags >> *used) & more;
    *used += more;
    return (uint64_t)q * block->divisor + low + ((low + extra - block->threshold) & (0 - more));
}

/* The places become values, four at a time while four fields lie within a window of 57 bits. */
static void plada__fill_golomb(plada__block *from, uint32_t n, uint32_t *values)
{
    plada__block block = *from; /* which no store can change */
    const unsigned width = block.width;
    uint64_t wide = 0, value;
    uint32_t i = 0, next = 0;
    for (; n - i >= 4 && width <= 14; i += 4) {
        uint32_t *v = values + i, mask = plada__mask(width);
        uint32_t q0 = v[0] - next, q1 = v[1] - v[0] - 1, q2 = v[2] - v[1] - 1, q3 = v[3] - v[2] - 1;
        uint64_t low = plada__load64(&block.in, block.b >> 3) >> (block.b & 7);
        uint64_t flags = plada__load64(&block.in, block.c >> 3) >> (block.c & 7);
        unsigned used = 0;
        next = v[3] + 1;
        wide |= value = plada__golomb(&block, q0, (uint32_t)low & mask, flags, &used);
        v[0] = (uint32_t)value;
        low >>= width;
        wide |= value = plada__golomb(&block, q1, (uint32_t)low & mask, flags, &used);
        v[1] = (uint32_t)value;
        low >>= width;
        wide |= value = plada__golomb(&block, q2, (uint32_t)low & mask, flags, &used);
        v[2] = (uint32_t)value;
        low >>= width;
        wide |= value = plada__golomb(&block, q3, (uint32_t)low & mask, flags, &used);
        v[3] = (uint32_t)value;
        block.b += 4 * width;
        block.c += used;
    }
    for (; i < n; i++, block.b += width) {
        unsigned used = 0;
        value = plada__golomb(&block, values[i] - next, plada__bits(&block.in, block.b, width),
                              plada__load64(&block.in, block.c >> 3) >> (block.c & 7), &used);
        next = values[i] + 1;
        block.c += used;
        wide |= value;
        values[i] = (uint32_t)value;
    }
    from->c = block.c;
    from->wide = wide >> 32 != 0;
}

/* The same; four extra fields are short enough unless a value is unusually large. */
static void plada__fill_exponential(plada__block *block, uint32_t n, uint32_t *values)
{
    const plada__reader in = block->in;
    const unsigned width = block->width;
    uint64_t b = block->b, c = block->c, wide = 0;
    uint32_t i = 0, next = 0;
    while (i < n) {
        uint32_t end = i + 1;
        if (n - i >= 4 && width <= 14) {
            const uint32_t *place = values + i;
            uint32_t q0 = place[0] - next, q1 = place[1] - place[0] - 1;
            uint32_t q2 = place[2] - place[1] - 1, q3 = place[3] - place[2] - 1;
            end = i + 4;
            if ((q0 | q1 | q2 | q3) <= 15 && q0 + q1 + q2 + q3 <= 57) {
                uint64_t extra = plada__load64(&in, c >> 3) >> (c & 7);
                uint32_t *v = values + i;
                next = place[3] + 1;
                v[0] = plada__mask(q0) + ((uint32_t)extra & plada__mask(q0));
                extra >>= q0;
                v[1] = plada__mask(q1) + ((uint32_t)extra & plada__mask(q1));
                extra >>= q1;
                v[2] = plada__mask(q2) + ((uint32_t)extra & plada__mask(q2));
                extra >>= q2;
                v[3] = plada__mask(q3) + ((uint32_t)extra & plada__mask(q3));
                c += q0 + q1 + q2 + q3;
                if (width) {
                    uint64_t low = plada__load64(&in, b >> 3) >> (b & 7);
                    uint32_t mask = plada__mask(width);
                    for (; i < end; i++, low >>= width) values[i] = (values[i] << width) + ((uint32_t)low & mask);
                    b += 4 * width;
                }
                i = end;
                continue;
            }
        }
        for (; i < end; i++, b += width) {
            uint32_t q = values[i] - next;
            uint64_t value = ((uint64_t)1 << (q & 63)) - 1;
            next = values[i] + 1;
            value += plada__load64(&in, c >> 3) >> (c & 7) & value;
            value = (value << width) + plada__bits(&in, b, width);
            wide |= value >> 32 | (q > 32 - width);
            c += q;
            values[i] = (uint32_t)value;
        }
    }
    block->c = c;
    block->wide = wide != 0;
}
#endif

/* Reads a whole block into an array. */
static int plada__block_fill(plada__reader *in, uint32_t n, uint32_t *values)
{
    plada__block block;
    uint32_t i;
    PLADA__TRY(plada__block_open(in, n, &block));
#ifndef PLADA_SMALL
    if (block.b - (uint64_t)in->at * 8 <= UINT32_C(0xFFFFFFFF)) {
        plada__ones_at(in, n, values);
        if (block.divisor) plada__fill_golomb(&block, n, values);
        else plada__fill_exponential(&block, n, values);
        return plada__block_close(in, &block);
    }
#endif
    for (i = 0; i < n; i++) values[i] = plada__block_next(&block);
    return plada__block_close(in, &block);
}

/* ---- Symbol set (5.2) ------------------------------------------------------------------------------------------ */

typedef struct plada__set {
    uint32_t members;
    int all;                /* every symbol is a member: no block */
    uint32_t next;
    plada__block gaps;
} plada__set;

static int plada__set_open(plada__reader *in, uint32_t A, plada__set *set)
{
    uint64_t sum = 0;
    PLADA__TRY(plada__varint(in, &set->members, PLADA_STREAM_TRUNCATED));
    if (set->members < 1 || set->members > A) return PLADA_TABLE;
    set->all = set->members == A;
    set->next = 0;
    if (set->all) return PLADA_OK;
    PLADA__TRY(plada__block_check(in, set->members, &set->gaps, &sum));
    return sum + set->members > A ? PLADA_TABLE : PLADA_OK;
}

static uint32_t plada__set_next(plada__set *set)
{
    if (!set->all) set->next += plada__block_next(&set->gaps);
    return set->next++;
}

/* ---- Where symbols go ------------------------------------------------------------------------------------------ */

typedef struct plada__sink {
    uint16_t *wide;         /* labels, or */
    uint8_t *narrow;        /* symbols below 256, or neither: they are only checked */
    uint32_t row;           /* soft labels: K, otherwise 0 */
    uint32_t left, sum;
    int bad;                /* a row of soft labels does not sum to 255 */
} plada__sink;

static void plada__put_other(plada__sink *sink, uint32_t i, uint32_t symbol)
{
    if (sink->narrow) sink->narrow[i] = (uint8_t)symbol;
    if (sink->row) {
        sink->sum += symbol;
        if (!--sink->left) {
            sink->bad |= sink->sum != 255;
            sink->sum = 0;
            sink->left = sink->row;
        }
    }
}

PLADA__HOT void plada__put(plada__sink *sink, uint32_t i, uint32_t symbol)
{
    if (sink->wide) sink->wide[i] = (uint16_t)symbol;
    else plada__put_other(sink, i, symbol);
}

/* The symbols i to end - 1 are the same. */
static void plada__put_run(plada__sink *sink, uint32_t i, uint32_t end, uint32_t symbol)
{
    for (; i < end; i++) plada__put(sink, i, symbol);
}

static void plada__sink_start(plada__sink *sink, uint16_t *wide, uint8_t *narrow, uint32_t row)
{
    sink->wide = wide, sink->narrow = narrow;
    sink->row = sink->left = row;
    sink->sum = 0;
    sink->bad = 0;
}

/* ---- Canonical Huffman code (5.3) ------------------------------------------------------------------------------ */

typedef struct plada__huffman {
    const uint32_t *sorted; /* members in the order of (length, symbol) */
#ifndef PLADA_SMALL
    const uint32_t *lookup; /* by the next PLADA_TABLE_BITS bits, two words: next symbol | the one after it << 16;
                               length of both | symbols << 8 | length of the first << 16. If the second's code word does
                               not lie within the bits, symbols is 1; if the first's does not, all is 0. */
#endif
    uint32_t members;
    uint32_t count[17];
} plada__huffman;

#ifndef PLADA_SMALL
enum { PLADA__LOOKUPS = 57 / PLADA_TABLE_BITS };

static void plada__huffman_lookup(const plada__huffman *code, uint32_t *lookup)
{
    uint32_t word = 0, place = 0, i, length;
    memset(lookup, 0, 2 * sizeof *lookup * PLADA__TABLE_WORDS);
    for (length = 1; length <= 16 && length <= PLADA_TABLE_BITS; length++) {
        for (word <<= 1, i = 0; i < code->count[length]; i++, word++, place++) {
            uint32_t reversed = 0, bit;
            for (bit = 0; bit < length; bit++) reversed |= (word >> bit & 1) << (length - 1 - bit);
            for (; reversed < PLADA__TABLE_WORDS; reversed += UINT32_C(1) << length) {
                lookup[2 * reversed] = code->sorted[place];
                lookup[2 * reversed + 1] = length | 1 << 8 | length << 16;
            }
        }
    }
    for (word = 0; word < PLADA__TABLE_WORDS; word++) {
        uint32_t *entry = lookup + 2 * word, first = entry[1] >> 16;
        const uint32_t *after = lookup + 2 * (word >> first);
        length = after[1] >> 16;
        if (!first || !length || first + length > PLADA_TABLE_BITS) continue;
        entry[0] |= after[0] << 16;
        entry[1] = (first + length) | 2 << 8 | first << 16;
    }
}
#endif

static int plada__huffman_open(plada__reader *in, uint32_t A, uint32_t *scratch, plada__huffman *code)
{
    uint32_t *sorted = scratch + 2 * PLADA__TABLE_WORDS;
    uint32_t start[17], i, sum = 0, length_0;
    plada__set set;
    plada__block lengths, copy;
    int64_t length;
    int bad = 0;
    PLADA__TRY(plada__set_open(in, A, &set));
    code->sorted = sorted, code->members = set.members;
    memset(code->count, 0, sizeof code->count);
    if (set.members == 1) {
        sorted[0] = plada__set_next(&set);
        return PLADA_OK;
    }
    PLADA__TRY(plada__block_open(in, set.members, &lengths));
    copy = lengths;
    length_0 = plada__log2_up(set.members);
    length = length_0;
    for (i = 0; i < set.members; i++) {
        uint32_t z = plada__block_next(&copy);
        length += (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
        if (length < 1 || length > 16) bad = 1;
        else code->count[length]++;
    }
    PLADA__TRY(plada__block_close(in, &copy));
    if (bad) return PLADA_TABLE;
    start[0] = 0;
    for (i = 1; i <= 16; i++) {
        sum += code->count[i] << (16 - i); /* at most 2^31: 65,536 words of 1 bit */
        start[i] = start[i - 1] + code->count[i - 1];
    }
    if (sum != 65536) return PLADA_TABLE;
    length = length_0;
    for (i = 0; i < set.members; i++) {
        uint32_t z = plada__block_next(&lengths);
        length += (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
        sorted[start[length]++] = plada__set_next(&set);
    }
#ifndef PLADA_SMALL
    code->lookup = scratch;
    plada__huffman_lookup(code, scratch);
#endif
    return PLADA_OK;
}

/* symbol | length << 16 of the code word in the lowest bits of the window. */
PLADA__COLD uint32_t plada__huffman_long(const plada__huffman *code, uint64_t window)
{
    uint32_t word = 0, first = 0, start = 0, length;
    for (length = 1; length < 16; length++) {
        word = 2 * word + (uint32_t)(window & 1);
        window >>= 1;
        first *= 2;
        if (word - first < code->count[length]) break;
        start += code->count[length];
        first += code->count[length];
    }
    if (length == 16) { /* the code is complete: it is one of these */
        word = 2 * word + (uint32_t)(window & 1);
        first *= 2;
    }
    return code->sorted[start + word - first] | length << 16;
}

PLADA__HOT uint32_t plada__huffman_word(const plada__huffman *code, uint64_t window)
{
#ifndef PLADA_SMALL
    const uint32_t *entry = code->lookup + 2 * (window & (PLADA__TABLE_WORDS - 1));
    if (entry[1]) return (entry[0] & 0xFFFF) | (entry[1] >> 16) << 16;
#endif
    return plada__huffman_long(code, window);
}

static uint32_t plada__huffman_next(const plada__huffman *code, const plada__reader *in, uint64_t *at)
{
    uint32_t entry;
    if (code->members == 1) return code->sorted[0];
    entry = plada__huffman_word(code, plada__bits(in, *at, 16));
    *at += entry >> 16;
    return entry & 0xFFFF;
}

#ifndef PLADA_SMALL
/* Reads symbols, all but a few of n if they are many, and counts them in *read: as many look-ups at a time as one window
   surely holds, each of one symbol or two. */
static int plada__huffman_most(const plada__huffman *from, const plada__reader *in, uint64_t *place, uint32_t n,
                               uint16_t *symbols, uint32_t *read)
{
    const plada__huffman code = *from; /* copies that no store can change */
    const plada__reader bytes = *in;
    uint64_t at = *place;
    uint32_t i = 0;
    while (code.members > 1 && n - i > 2 * PLADA__LOOKUPS) {
        uint64_t window = plada__load64(&bytes, at >> 3) >> (at & 7);
        unsigned t;
        for (t = 0; t < PLADA__LOOKUPS; t++) {
            const uint32_t *entry = code.lookup + 2 * (window & (PLADA__TABLE_WORDS - 1));
            const uint32_t lengths = entry[1];
            if (!lengths) break;
            symbols[i] = (uint16_t)entry[0];
            symbols[i + 1] = (uint16_t)(entry[0] >> 16); /* if there is none, the next one takes its place */
            i += lengths >> 8 & 3;
            window >>= lengths & 63;
            at += lengths & 63;
        }
        if (t < PLADA__LOOKUPS) symbols[i++] = (uint16_t)plada__huffman_next(&code, &bytes, &at);
        if (at > (uint64_t)bytes.size * 8) return PLADA_STREAM_TRUNCATED;
    }
    *place = at;
    *read = i;
    return PLADA_OK;
}
#endif

static int plada__label_huffman(plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink, uint32_t *scratch)
{
    plada__huffman code;
    uint64_t at, bits = (uint64_t)in->size * 8;
    uint32_t i = 0;
    PLADA__TRY(plada__huffman_open(in, A, scratch, &code));
    if (code.members == 1) {
        plada__put_run(sink, 0, n, code.sorted[0]);
        return plada__end(in);
    }
    at = (uint64_t)in->at * 8;
#ifndef PLADA_SMALL
    if (sink->wide) PLADA__TRY(plada__huffman_most(&code, in, &at, n, sink->wide, &i));
#endif
    for (; i < n; i++) {
        plada__put(sink, i, plada__huffman_next(&code, in, &at));
        if (at > bits) return PLADA_STREAM_TRUNCATED;
    }
    PLADA__TRY(plada__padding(in, at));
    return plada__end(in);
}

/* ---- Static rANS (5.4) ----------------------------------------------------------------------------------------- */

typedef struct plada__rans_table {
#ifndef PLADA_SMALL
    uint32_t *buckets;      /* by the leading bits of a slot, two words: range and symbol of the member that has the
                               whole bucket, or 0 and the number of the member that has its last slot */
#endif
    uint32_t *ranges;       /* for each member: cumulative frequency << 16 | frequency */
    uint32_t *symbols;
    uint32_t members;
    unsigned precision;
} plada__rans_table;

static void plada__rans_place(plada__rans_table *table, uint32_t *scratch, uint32_t A)
{
#ifndef PLADA_SMALL
    table->buckets = scratch;
#endif
    table->ranges = scratch + 2 * PLADA__TABLE_WORDS;
    table->symbols = table->ranges + A;
}

#ifndef PLADA_SMALL
static unsigned plada__rans_shift(const plada__rans_table *table)
{
    return table->precision > PLADA_TABLE_BITS ? table->precision - PLADA_TABLE_BITS : 0;
}

static void plada__rans_buckets(plada__rans_table *table)
{
    uint32_t bucket = 0, j;
    unsigned shift = plada__rans_shift(table);
    for (j = 0; j < table->members; j++) {
        uint32_t start = table->ranges[j] >> 16, end = start + (table->ranges[j] & 0xFFFF);
        for (; (bucket + 1) << shift <= end; bucket++) {
            int whole = bucket << shift >= start;
            table->buckets[2 * bucket] = whole ? table->ranges[j] : 0;
            table->buckets[2 * bucket + 1] = whole ? table->symbols[j] : j;
        }
    }
}
#endif

/* table(A) */
static int plada__rans_read_table(plada__reader *in, uint32_t A, plada__rans_table *table)
{
    plada__set set;
    plada__block frequencies;
    uint64_t sum = 0;
    uint32_t j, start = 0;
    PLADA__TRY(plada__set_open(in, A, &set));
    table->members = set.members;
    table->precision = 0;
    if (set.members > 1) {
        if (!plada__left(in)) return PLADA_STREAM_TRUNCATED;
        table->precision = in->data[in->at++];
        if (table->precision < 1 || table->precision > 16 || UINT32_C(1) << table->precision < set.members) {
            return PLADA_PARAMETER;
        }
        PLADA__TRY(plada__block_check(in, set.members - 1, &frequencies, &sum));
        if (sum + set.members - 1 >= UINT32_C(1) << table->precision) return PLADA_TABLE;
    }
    for (j = 0; j < set.members; j++) {
        uint32_t frequency = 0;
        table->symbols[j] = plada__set_next(&set);
        if (set.members == 1) break;
        frequency = j + 1 < set.members ? plada__block_next(&frequencies) + 1
                                        : (UINT32_C(1) << table->precision) - start;
        table->ranges[j] = start << 16 | frequency;
        start += frequency;
    }
    return PLADA_OK;
}

/* One step of a lane: the new state before it is refilled. */
PLADA__HOT uint32_t plada__rans_step(const plada__rans_table *table, unsigned shift, uint32_t x, uint32_t *symbol)
{
    uint32_t slot = x & ((UINT32_C(1) << table->precision) - 1), range;
#ifdef PLADA_SMALL
    uint32_t j = 0, end = table->members;
    while (end - j > 1) {
        uint32_t middle = (j + end) / 2;
        if (table->ranges[middle] >> 16 > slot) end = middle;
        else j = middle;
    }
    range = table->ranges[j];
    *symbol = table->symbols[j];
    (void)shift;
#else
    const uint32_t *bucket = table->buckets + 2 * (size_t)(slot >> shift);
    range = bucket[0];
    *symbol = bucket[1];
    if (!range) {
        uint32_t j = bucket[1];
        while (table->ranges[j] >> 16 > slot) j--;
        range = table->ranges[j];
        *symbol = table->symbols[j];
    }
#endif
    return (range & 0xFFFF) * (x >> table->precision) + slot - (range >> 16);
}

static int plada__rans(plada__reader *in, plada__rans_table *from, uint32_t n, plada__sink *sink)
{
    const plada__rans_table table = *from; /* a copy that no store can change */
    unsigned lanes = n < 65536 ? 1 : n < 131072 ? 32 : 64, lane, shift = 0;
    uint32_t x[64], i = 0, symbol;
    const uint8_t *data = in->data;
    size_t at = in->at, size = in->size;
#ifndef PLADA_SMALL
    shift = plada__rans_shift(from);
    plada__rans_buckets(from);
#endif
    if (size - at < 4 * lanes) return PLADA_STREAM_TRUNCATED;
    for (lane = 0; lane < lanes; lane++, at += 4) {
        x[lane] = plada__u32(data + at);
        if (x[lane] < 65536) return PLADA_CODER_STATE;
    }
#ifndef PLADA_SMALL
    if (sink->wide) { /* rounds for which there are words in any case: no test, no branch */
        while (n - i >= lanes && size - at >= 2 * lanes) {
            for (lane = 0; lane < lanes; lane++, i++) {
                uint32_t state = plada__rans_step(&table, shift, x[lane], &symbol);
                uint32_t refill = state < 65536;
                x[lane] = state << 16 * refill | (plada__u16(data + at) & (0 - refill));
                at += 2 * refill;
                sink->wide[i] = (uint16_t)symbol;
            }
        }
    }
#endif
    for (; i < n; i++) {
        uint32_t *current = x + (i & (lanes - 1)), state = plada__rans_step(&table, shift, *current, &symbol);
        plada__put(sink, i, symbol);
        if (state < 65536) {
            if (size - at < 2) return PLADA_STREAM_TRUNCATED;
            state = state << 16 | plada__u16(data + at);
            at += 2;
        }
        *current = state;
    }
    for (lane = 0; lane < lanes; lane++) {
        if (x[lane] != 65536) return PLADA_CODER_STATE;
    }
    in->at = at;
    return PLADA_OK;
}

/* ---- Zstandard frame (5.5) ------------------------------------------------------------------------------------- */

#ifdef PLADA_ZSTD
/* The rest of the stream is a frame of exactly `expected` bytes. */
static int plada__frame(plada__reader *in, uint8_t *out, uint64_t expected)
{
    static const uint8_t magic[4] = { 0x28, 0xB5, 0x2F, 0xFD };
    const uint8_t *p = in->data + in->at;
    size_t size = plada__left(in), at = 5, field;
    uint64_t window, content = 0;
    unsigned descriptor, i;
    int last;
    if (size < 6 || memcmp(p, magic, 4) != 0) return PLADA_ZSTD_FRAME;
    descriptor = p[4];
    if (descriptor & 0x0F) return PLADA_ZSTD_FRAME; /* dictionary, checksum, reserved bit */
    window = 0;
    if (!(descriptor & 0x20)) {
        window = (uint64_t)1 << (10 + (p[5] >> 3));
        window += window / 8 * (p[5] & 7);
        if (window > UINT32_C(1) << 27) return PLADA_ZSTD_FRAME;
        at = 6;
    }
    field = (size_t)1 << (descriptor >> 6);
    if (field == 1 && !(descriptor & 0x20)) return PLADA_ZSTD_FRAME; /* no content size */
    if (size - at < field) return PLADA_ZSTD_FRAME;
    for (i = 0; i < field; i++) content |= (uint64_t)p[at + i] << (8 * i);
    if (field == 2) content += 256;
    at += field;
    if (content != expected) return PLADA_ZSTD_FRAME;
    if (descriptor & 0x20) window = content;
    if (window > UINT32_C(1) << 17) window = UINT32_C(1) << 17;
    do {
        uint32_t header, length;
        if (size - at < 3) return PLADA_ZSTD_FRAME;
        header = plada__u16(p + at) | (uint32_t)p[at + 2] << 16;
        at += 3;
        last = (int)(header & 1);
        length = header >> 3;
        if (length > window || (header >> 1 & 3) == 3) return PLADA_ZSTD_FRAME;
        if ((header >> 1 & 3) == 1) length = 1; /* one byte, repeated */
        if (size - at < length) return PLADA_ZSTD_FRAME;
        at += length;
    } while (!last);
    if (at != size) return PLADA_ZSTD_FRAME;
    if (ZSTD_decompress(out, (size_t)expected, p, size) != (size_t)expected) return PLADA_ZSTD_FRAME;
    in->at = in->size;
    return PLADA_OK;
}
#endif

/* ---- Index codecs (section 6): k of N images, 0 < k < N --------------------------------------------------------- */

typedef struct plada__job {
    uint32_t N, k, K;
    uint32_t *indices;
    uint16_t *labels;
    uint32_t *scratch;
    const uint32_t *groups;
    size_t num_groups;
    int mixer_ready;        /* scratch begins with the tables of 5.7 */
} plada__job;

/* The bitmap has ceil(N / 8) bytes. */
static int plada__read_bitmap(const plada__job *job, plada__reader *in)
{
    size_t at;
    uint32_t n = 0;
    for (at = 0; at < in->size; at += 8) {
        uint64_t window = plada__load64(in, at);
        for (; window; window &= window - 1) {
            if (n == job->k) return PLADA_INDEX_RANGE;
            job->indices[n++] = (uint32_t)at * 8 + plada__ctz64(window);
        }
    }
    return n == job->k ? PLADA_OK : PLADA_INDEX_RANGE;
}

static int plada__index_bitmap(plada__reader *in, const plada__job *job)
{
    PLADA__TRY(plada__exactly(in, job->N));
    return plada__read_bitmap(job, in);
}

static int plada__index_golomb(plada__reader *in, const plada__job *job)
{
    uint64_t sum = 0;
    uint32_t j, k = job->k, *indices = job->indices;
    PLADA__TRY(plada__block_fill(in, k, indices));
    PLADA__TRY(plada__end(in));
    for (j = 0; j < k; j++) {
        sum += indices[j];
        indices[j] = (uint32_t)(sum + j);
    }
    return sum + k > job->N ? PLADA_INDEX_RANGE : PLADA_OK;
}

static int plada__index_runs(plada__reader *in, const plada__job *job)
{
    plada__block lengths;
    uint32_t runs, run, image = 0, n = 0, *skips;
    uint64_t skipped = 0, kept = 0;
    PLADA__TRY(plada__varint(in, &runs, PLADA_STREAM_TRUNCATED));
    if (runs < 1 || runs > job->k) return PLADA_PARAMETER;
    /* Skips wait at the end of the array: each run that is still to come fills one place at least. */
    skips = job->indices + (job->k - runs);
    PLADA__TRY(plada__block_fill(in, runs, skips));
    for (run = 0; run < runs; run++) skipped += skips[run];
    if (runs > 1) PLADA__TRY(plada__block_open(in, runs - 1, &lengths));
    for (run = 0; run < runs; run++) {
        uint32_t length = run + 1 < runs ? plada__block_next(&lengths) : 0, end;
        kept += length;
        if (kept > job->k - runs) continue; /* the rest is read for its errors */
        end = run + 1 < runs ? n + length + 1 : job->k;
        image += skips[run] + (run > 0);
#ifndef PLADA_SMALL
        if (job->k - runs + run + 1 - n >= 4) { /* most runs are as short as that */
            job->indices[n] = image, job->indices[n + 1] = image + 1;
            job->indices[n + 2] = image + 2, job->indices[n + 3] = image + 3;
            if (end - n <= 4) {
                image += end - n;
                n = end;
                continue;
            }
        }
#endif
        while (n < end) job->indices[n++] = image++;
    }
    if (runs > 1) PLADA__TRY(plada__block_close(in, &lengths));
    PLADA__TRY(plada__end(in));
    return kept > job->k - runs || skipped + runs - 1 + job->k > job->N ? PLADA_INDEX_RANGE : PLADA_OK;
}

/* 6.4: S(a), 65536 times the share of the distribution that is at a or above, for a half-life of P / 256 */
static uint32_t plada__tail(uint32_t P, uint64_t a)
{
    static const uint32_t T[17] = { 65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341,
                                    44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768 };
    uint64_t z = (a << 20) / P; /* a is below 2^33 */
    unsigned i = (unsigned)(z >> 8 & 15);
    if (z >= 17 << 12) return 0;
    return (T[i] - (((T[i] - T[i + 1]) * (uint32_t)(z & 255)) >> 8)) >> (z >> 12);
}

/* lo(c) for every class, and in the upper half of the word its number of raw bits */
static void plada__class_table(uint64_t classes[124])
{
    uint32_t c;
    for (c = 0; c < 124; c++) {
        unsigned bits = c < 8 ? 0 : (c >> 2) - 1;
        classes[c] = (c < 4 ? c : (4 + (c & 3)) << bits) | (uint64_t)bits << 32;
    }
}

/* Classes 0..C-1, all that a gap of at most `largest` can have (largest >= 1). */
static void plada__geometric_table(plada__rans_table *table, const uint64_t classes[124], uint32_t P, uint32_t largest)
{
    uint32_t c, C = 2, start = 0, next;
    while (C < 124 && (uint32_t)classes[C] <= largest) C++;
    table->members = C;
    table->precision = 16;
    for (c = 0; c < C; c++, start = next) {
        next = c + 1 < C ? (((65536 - plada__tail(P, (uint32_t)classes[c + 1])) * (65536 - C)) >> 16) + c + 1 : 65536;
        table->symbols[c] = c;
        table->ranges[c] = start << 16 | (next - start);
    }
}

static int plada__index_rans(plada__reader *in, const plada__job *job)
{
    uint32_t N = job->N, k = job->k, m = k > N - k ? N - k : k, P, j, n = 0;
    uint32_t *indices = job->indices;
    const uint16_t *decoded = job->labels; /* free until the label stream is decoded; m <= k */
    uint64_t classes[124];
    plada__rans_table table;
    plada__sink sink;
    uint64_t at, bits = (uint64_t)in->size * 8, sum = 0;
    int dense = m < k;
    plada__rans_place(&table, job->scratch, 124);
    plada__class_table(classes);
    plada__sink_start(&sink, job->labels, 0, 0);
    PLADA__TRY(plada__varint(in, &P, PLADA_STREAM_TRUNCATED));
    if (P) plada__geometric_table(&table, classes, P, N - m);
    else PLADA__TRY(plada__rans_read_table(in, 124, &table));
    if (table.members > 1) {
        PLADA__TRY(plada__rans(in, &table, m, &sink));
    } else {
        plada__put_run(&sink, 0, m, table.symbols[0]);
    }

    at = (uint64_t)in->at * 8;
    for (j = 0; j < m; j++) {
        uint64_t entry = classes[decoded[j]];
        uint32_t gap = (uint32_t)entry + plada__bits(in, at, (unsigned)(entry >> 32));
        at += entry >> 32;
        sum += gap;
        if (!dense) {
            indices[j] = (uint32_t)(sum + j);
        } else if (sum <= k) { /* the gaps are stretches of kept images */
            while (n < (uint32_t)sum) indices[n] = n + j, n++;
        }
    }
    if (at > bits) return PLADA_STREAM_TRUNCATED;
    PLADA__TRY(plada__padding(in, at));
    PLADA__TRY(plada__end(in));
    if (sum + m > N) return PLADA_INDEX_RANGE;
    while (dense && n < k) indices[n] = n + m, n++;
    return PLADA_OK;
}

#ifdef PLADA_ZSTD
static int plada__index_delta_zstd(plada__reader *in, const plada__job *job)
{
    uint8_t *bytes = (uint8_t *)job->scratch;
    size_t k = job->k, j, step, plane;
    uint64_t sum = 0;
    uint32_t largest = 0;
    unsigned width, i;
    if (!in->size) return PLADA_STREAM_TRUNCATED;
    width = in->data[0] & 15;
    if (width < 1 || width > 4 || in->data[0] >> 4 > (width > 1)) return PLADA_PARAMETER;
    in->at = 1;
    PLADA__TRY(plada__frame(in, bytes, (uint64_t)width * k));
    step = in->data[0] >> 4 ? width : 1;
    plane = in->data[0] >> 4 ? 1 : k;
    for (j = 0; j < k; j++) {
        uint32_t gap = 0;
        for (i = 0; i < width; i++) gap |= (uint32_t)bytes[j * step + i * plane] << (8 * i);
        if (gap > largest) largest = gap;
        sum += gap;
        job->indices[j] = (uint32_t)(sum + j);
    }
    if (width > 1 && !(largest >> (8 * (width - 1)))) return PLADA_NON_CANONICAL;
    return sum + k > job->N ? PLADA_INDEX_RANGE : PLADA_OK;
}

static int plada__index_bitmap_zstd(plada__reader *in, const plada__job *job)
{
    plada__reader bitmap;
    bitmap.data = (const uint8_t *)job->scratch, bitmap.size = (size_t)(((uint64_t)job->N + 7) / 8), bitmap.at = 0;
    PLADA__TRY(plada__frame(in, (uint8_t *)job->scratch, bitmap.size));
    PLADA__TRY(plada__padding(&bitmap, job->N));
    return plada__read_bitmap(job, &bitmap);
}
#endif

/* ---- Label codecs (section 7): n >= 1 symbols below A >= 2 ------------------------------------------------------ */

static int plada__label_fixed(plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink)
{
    unsigned width = plada__log2_up(A);
    uint64_t bits = (uint64_t)n * width, at = 0;
    uint32_t i;
    int fits = 1;
    PLADA__TRY(plada__exactly(in, bits));
    for (i = 0; i < n; i++, at += width) {
        uint32_t label = plada__bits(in, at, width);
        fits &= label < A;
        plada__put(sink, i, label);
    }
    return fits ? PLADA_OK : PLADA_LABEL_RANGE;
}

static int plada__label_runs(plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink, uint32_t *scratch)
{
    plada__huffman code;
    plada__block lengths;
    uint64_t start, at, bits = (uint64_t)in->size * 8, sum = 0;
    uint32_t runs, run = 0, i = 0, previous = A;
    uint16_t *waiting = 0; /* labels of the runs, at the end of the array as in index-runs */
    int equal = 0;
    PLADA__TRY(plada__varint(in, &runs, PLADA_STREAM_TRUNCATED));
    if (runs < 1 || runs > n) return PLADA_PARAMETER;
    PLADA__TRY(plada__huffman_open(in, A, scratch, &code));
    start = at = (uint64_t)in->at * 8;
#ifndef PLADA_SMALL
    if (sink->wide) {
        waiting = sink->wide + (n - runs);
        PLADA__TRY(plada__huffman_most(&code, in, &at, runs, waiting, &run));
    }
#endif
    for (; run < runs; run++) {
        uint32_t label = plada__huffman_next(&code, in, &at);
        if (at > bits) return PLADA_STREAM_TRUNCATED;
        if (waiting) waiting[run] = (uint16_t)label;
    }
    PLADA__TRY(plada__padding(in, at));
    if (runs > 1) PLADA__TRY(plada__block_open(in, runs - 1, &lengths));
    for (run = 0, at = start; run < runs; run++) {
        uint32_t label = waiting ? waiting[run] : plada__huffman_next(&code, in, &at), end;
        uint32_t length = run + 1 < runs ? plada__block_next(&lengths) : 0;
        sum += length;
        equal |= label == previous;
        previous = label;
        if (sum > n - runs) continue; /* the rest is read for its errors */
        end = run + 1 < runs ? i + length + 1 : n;
#ifndef PLADA_SMALL
        if (waiting && n - runs + run + 1 - i >= 4) {
            uint16_t *labels = sink->wide + i;
            labels[0] = labels[1] = labels[2] = labels[3] = (uint16_t)label;
            if (end - i <= 4) {
                i = end;
                continue;
            }
        }
#endif
        plada__put_run(sink, i, end, label);
        i = end;
    }
    if (runs > 1) PLADA__TRY(plada__block_close(in, &lengths));
    PLADA__TRY(plada__end(in));
    if (equal) return PLADA_NON_CANONICAL;
    return sum > n - runs ? PLADA_LABEL_RANGE : PLADA_OK;
}

static int plada__label_rans(plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink, uint32_t *scratch)
{
    plada__rans_table table;
    plada__rans_place(&table, scratch, A);
    PLADA__TRY(plada__rans_read_table(in, A, &table));
    if (table.members > 1) {
        PLADA__TRY(plada__rans(in, &table, n, sink));
    } else {
        plada__put_run(sink, 0, n, table.symbols[0]);
    }
    return plada__end(in);
}

#ifdef PLADA_ZSTD
static int plada__label_zstd(plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink, uint32_t *scratch)
{
    const uint8_t *bytes = (const uint8_t *)scratch;
    size_t width = A > 256 ? 2 : 1, step, plane, i;
    int fits = 1;
    if (!in->size) return PLADA_STREAM_TRUNCATED;
    if (in->data[0] >= width) return PLADA_PARAMETER;
    in->at = 1;
    PLADA__TRY(plada__frame(in, (uint8_t *)scratch, (uint64_t)width * n));
    step = in->data[0] ? 1 : width;
    plane = in->data[0] ? n : 1;
    for (i = 0; i < n; i++) {
        uint32_t label = bytes[i * step];
        if (width == 2) label |= (uint32_t)bytes[i * step + plane] << 8;
        fits &= label < A;
        plada__put(sink, (uint32_t)i, label);
    }
    return fits ? PLADA_OK : PLADA_LABEL_RANGE;
}
#endif

/* The codecs that need nothing but n and A. */
static int plada__label_stream(unsigned codec, plada__reader *in, uint32_t n, uint32_t A, plada__sink *sink,
                               uint32_t *scratch)
{
    switch (codec) {
    case 0x20: return plada__label_fixed(in, n, A, sink);
    case 0x21: return plada__label_huffman(in, n, A, sink, scratch);
    case 0x22: return plada__label_runs(in, n, A, sink, scratch);
    case 0x23: return plada__label_rans(in, n, A, sink, scratch);
#ifdef PLADA_ZSTD
    case 0x30: return plada__label_zstd(in, n, A, sink, scratch);
#endif
    default: return PLADA_UNSUPPORTED_CODEC;
    }
}

/* ---- Adaptive codecs (5.6 to 5.8, 6.7, 6.8, 7.6, 7.7) ----------------------------------------------------------- */

#ifndef PLADA_NO_ADAPTIVE

/* >> of negative numbers must round down, as it does in every compiler that we know. */
typedef char plada__shift_is_arithmetic[(-3 >> 1) == -2 ? 1 : -1];

/* 5.6. The number minus `low` is all that decisions need; `low` itself follows at the end from the bytes. */
typedef struct plada__coder {
    const uint8_t *data;
    size_t size, at;
    uint32_t range, code;
} plada__coder;

static int plada__coder_begin(const plada__reader *in, plada__coder *coder)
{
    coder->data = in->data, coder->size = in->size;
    coder->range = UINT32_C(0xFFFFFFFF), coder->code = 0;
    for (coder->at = 0; coder->at < 4; coder->at++) {
        coder->code = coder->code << 8 | (coder->at < coder->size ? coder->data[coder->at] : 0);
    }
    return coder->code == UINT32_C(0xFFFFFFFF) ? PLADA_CODER_STATE : PLADA_OK;
}

PLADA__HOT void plada__settle(plada__coder *coder)
{
    while (coder->range < UINT32_C(1) << 24) {
        coder->code = coder->code << 8 | (coder->at < coder->size ? coder->data[coder->at] : 0);
        coder->range <<= 8;
        coder->at++;
    }
}

PLADA__HOT uint32_t plada__bit(plada__coder *coder, uint32_t p)
{
    uint32_t bound = (coder->range >> 16) * p, one = coder->code < bound;
    coder->range = one ? bound : coder->range - bound;
    coder->code -= one ? 0 : bound;
    plada__settle(coder);
    return one;
}

static uint32_t plada__number(plada__coder *coder, uint32_t n)
{
    uint32_t part = coder->range / n, v = coder->code / part;
    if (v >= n) v = n - 1;
    coder->code -= v * part;
    coder->range = v == n - 1 ? coder->range - v * part : part;
    plada__settle(coder);
    return v;
}

static uint32_t plada__raw(plada__coder *coder, unsigned width)
{
    uint32_t value = 0;
    while (width) {
        unsigned part = width < 8 ? width : 8;
        value = value << part | plada__number(coder, UINT32_C(1) << part);
        width -= part;
    }
    return value;
}

static int plada__coder_end(const plada__coder *coder)
{
    uint32_t last = 0, distance;
    size_t i;
    if (coder->size && coder->data[coder->size - 1] == 0) return PLADA_NON_CANONICAL;
    if (coder->at < coder->size) return PLADA_STREAM_OVERLONG;
    for (i = coder->at - 4; i < coder->at; i++) last = last << 8 | (i < coder->size ? coder->data[i] : 0);
    /* low = last - code mod 2^32; how far V lies above it */
    distance = coder->code - last;
    if (distance >= coder->range) distance &= 0xFFFFFF;
    return coder->code == distance ? PLADA_OK : PLADA_CODER_STATE;
}

static uint32_t plada__clamp(uint32_t x, uint32_t least, uint32_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* 5.8 */
static uint32_t plada__survival(uint32_t n, uint32_t k, unsigned t)
{
    uint32_t limit = UINT32_C(1) << (t ? 25 : 26);
    n >>= t;
    while (n >= limit) n >>= 1, k >>= 1;
    if (t) return (uint32_t)(((uint64_t)(2 * n - k) << 26) / (2 * n + k));
    return (uint32_t)(((uint64_t)(n - k) << 26) / n);
}

PLADA__HOT uint32_t plada__square(uint32_t r)
{
    return (uint32_t)((uint64_t)r * r >> 26);
}

/* How many of n images are passed over before the first of k, 1 <= k < n; corrupt streams can make it too large. */
static uint64_t plada__gap(plada__coder *coder, uint32_t n, uint32_t k)
{
    uint64_t value = 0;
    unsigned shift = 0;
    while (k > 1) {
        uint32_t share = (n - (n >> 2)) / k, half, r;
        unsigned width = share ? plada__log2(share) : 0, t0 = width > 6 ? width - 6 : 0, t;
        half = (UINT32_C(1) << width) >> 1;
        r = plada__survival(n - half, k, t0);
        for (t = t0; t < width; t++) r = plada__square(r);
        if (!plada__bit(coder, plada__clamp(r >> 10, 32, 65504))) {
            uint32_t R[8], low = 0;
            if (width) {
                R[0] = plada__survival(n - 1 - half, k - 1, t0);
                for (t = 1; t < width - t0; t++) R[t] = plada__square(R[t - 1]);
                for (t = width - t0; t-- > 0;) {
                    low = 2 * low + plada__bit(coder, (uint32_t)(((uint64_t)R[t] << 16) / ((UINT32_C(1) << 26) + R[t])));
                }
                low = low << t0 | plada__raw(coder, t0);
            }
            return value + low;
        }
        value += UINT32_C(1) << width;
        n -= UINT32_C(1) << width;
        if (n <= k) return value;
    }
    while ((n - 1) >> shift > 65535) shift++;
    value += (uint64_t)plada__number(coder, ((n - 1) >> shift) + 1) << shift;
    return value + plada__raw(coder, shift);
}

/* Mode 0 of 6.7: k of the n images from `first` on. */
static int plada__positions(plada__coder *coder, uint32_t first, uint32_t n, uint32_t k, uint32_t *indices)
{
    for (; k; k--) {
        uint64_t gap = n == k ? 0 : plada__gap(coder, n, k);
        if (gap > n - k) return PLADA_INDEX_RANGE;
        first += (uint32_t)gap;
        n -= (uint32_t)gap + 1;
        *indices++ = first++;
    }
    return PLADA_OK;
}

/* 5.7. States are kept as 4096 * level + x + 2048: most have the last level, and their part of the table is small. */
enum { PLADA__HALF = 2048 };

typedef struct plada__mixer {
    plada__coder coder;
    const uint32_t *next;   /* for each state: next(0, s) | next(1, s) << 16 */
    const uint32_t *squash; /* for each x + 2048 */
    unsigned slowness;      /* of the weights: r of 5.7 */
} plada__mixer;

enum { PLADA__MIXER_WORDS = 65536 + 4096 };

/* States are 16-bit; they lie in words of scratch. */
PLADA__HOT uint32_t plada__get16(const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, 2);
    return value;
}

PLADA__HOT void plada__set16(uint8_t *p, uint32_t value)
{
    uint16_t low = (uint16_t)value;
    memcpy(p, &low, 2);
}

static void plada__fill16(uint8_t *p, size_t n, uint32_t value)
{
    for (; n; n--, p += 2) plada__set16(p, value);
}

static uint32_t plada__squash(uint32_t x)
{
    static const uint16_t A[33] = { 22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768,
                                    40793, 47912, 53584, 57724, 60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374,
                                    65438, 65476, 65500, 65514 };
    uint32_t f = x & 127;
    return plada__clamp((A[x >> 7] * (128 - f) + A[(x >> 7) + 1] * f + 64) >> 7, 32, 65504);
}

/* The smallest x + 2048 above 0 whose squash is at least p, or 4095 */
static uint32_t plada__stretch(const uint32_t *squash, uint32_t p)
{
    uint32_t x = 0, step;
    for (step = 2048; step; step >>= 1) {
        if (squash[x + step] < p) x += step;
    }
    return x < 4095 ? x + 1 : x;
}

static uint32_t plada__state(const plada__mixer *mixer, uint32_t p, uint32_t level)
{
    return 4096 * level + plada__stretch(mixer->squash, plada__clamp(p, 64, 65472));
}

static void plada__mixer_tables(plada__mixer *mixer, plada__job *job)
{
    static const uint8_t observed[16] = { 0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 36, 52, 84 };
    uint32_t *next = job->scratch, *squash = job->scratch + 65536, x, level;
    mixer->next = next, mixer->squash = squash;
    mixer->slowness = 15;
    if (job->mixer_ready) return;
    job->mixer_ready = 1;
    for (x = 0; x < 4096; x++) squash[x] = plada__squash(x);
    for (level = 0; level < 16; level++) {
        uint32_t rate = 65536 * 5 / (5 * (uint32_t)observed[level] + 8), one = 1, zero = 1;
        uint32_t step = level < 15 ? (uint32_t)(observed[level + 1] - observed[level]) : 4096;
        for (x = 1; x < 4096; x++) { /* both targets grow with x, and so do the new states */
            uint32_t up = squash[x] + (((65535 - squash[x]) * rate) >> 16);
            uint32_t down = (uint32_t)((uint64_t)squash[x] * (65536 - rate) >> 16);
            if (one < x) one = x;
            while (one < 4095 && squash[one] < up) one++;
            while (zero < x && squash[zero + 1] <= down) zero++;
            /* 2048 is a multiple of every step */
            next[4096 * level + x] = (4096 * (level + (level < 15 && zero % step == 0)) + zero)
                                   | (4096 * (level + (level < 15 && one % step == 0)) + one) << 16;
        }
    }
}

/* Before image j: weights learn fast at first. */
PLADA__HOT void plada__slow_down(plada__mixer *mixer, uint32_t j)
{
    mixer->slowness = j < 256 ? 14 : j < 16384 ? 15 : 16;
}

/* A decision with n inputs; the states are updated in place. */
PLADA__HOT uint32_t plada__mixed(const plada__mixer *mixer, plada__coder *coder, unsigned n, int32_t *weights,
                                 uint8_t *const *states)
{
    uint32_t s[4], b;
    int32_t x[4], sum = 0, d;
    unsigned i;
    PLADA__UNROLL
    for (i = 0; i < n; i++) {
        s[i] = plada__get16(states[i]);
        x[i] = (int32_t)(s[i] & 4095) - 2048;
        sum += weights[i] * x[i];
    }
    sum >>= 16;
    sum = sum < -2047 ? -2047 : sum > 2047 ? 2047 : sum;
    d = (int32_t)mixer->squash[sum + 2048];
    b = plada__bit(coder, (uint32_t)d);
    d -= (int32_t)(b << 16);
    d = d > 2000 || d < -2000 ? d : 0; /* rather than a branch that cannot be foreseen */
    PLADA__UNROLL
    for (i = 0; i < n; i++) {
        int32_t w = weights[i] - ((d * x[i]) >> mixer->slowness);
        weights[i] = w < -262143 ? -262143 : w > 262143 ? 262143 : w;
    }
    PLADA__UNROLL
    for (i = 0; i < n; i++) plada__set16(states[i], mixer->next[s[i]] >> (16 * b));
    return b;
}

/* The same without the coder's address, so that it can stay in registers. */
PLADA__HOT uint32_t plada__raw_bits(plada__coder *coder, unsigned width)
{
    plada__coder copy = *coder;
    uint32_t value = plada__raw(&copy, width);
    *coder = copy;
    return value;
}

/* log4() of 5.7 for v below 2^40 */
PLADA__HOT uint32_t plada__log4(uint64_t v)
{
    unsigned more = v >> 32 ? 8 : 0, e = plada__log2((uint32_t)(v >> more));
    return 4 * (e + more) + (uint32_t)((v << 2) >> (e + more) & 3);
}

PLADA__HOT uint32_t plada__at_most(uint32_t x, uint32_t most)
{
    return x < most ? x : most;
}

/* floor(total / seen), or 0; mostly a division of 32 bits */
PLADA__HOT uint32_t plada__mean(uint64_t total, uint32_t seen)
{
    if (!seen) return 0;
    return total >> 32 ? (uint32_t)(total / seen) : (uint32_t)total / seen;
}

/* ---- index-adaptive, index-adaptive-groups (6.7, 6.8) */

enum { PLADA__NODES = 128, PLADA__INDEX_STATES = 2560 * PLADA__NODES };

typedef struct plada__index_model {
    plada__mixer mixer;
    int32_t weights[PLADA__NODES][3];
    uint8_t *tables;        /* three: 1024, 1024 and 512 contexts of 128 nodes */
    uint8_t *rows[3];       /* those of the three contexts at hand */
} plada__index_model;

static void plada__index_model_start(plada__index_model *model, plada__job *job, int32_t weight)
{
    unsigned i;
    plada__mixer_tables(&model->mixer, job);
    model->tables = (uint8_t *)(job->scratch + PLADA__MIXER_WORDS);
    plada__fill16(model->tables, PLADA__INDEX_STATES, PLADA__HALF);
    for (i = 0; i < PLADA__NODES; i++) model->weights[i][0] = model->weights[i][1] = model->weights[i][2] = weight;
}

static void plada__contexts(plada__index_model *model, uint32_t c0, uint32_t c1, uint32_t c2)
{
    model->rows[0] = model->tables + 2 * PLADA__NODES * (size_t)c0;
    model->rows[1] = model->tables + 2 * PLADA__NODES * (size_t)(1024 + c1);
    model->rows[2] = model->tables + 2 * PLADA__NODES * (size_t)(2048 + c2);
}

PLADA__HOT uint32_t plada__decide(plada__index_model *model, plada__coder *coder, uint32_t node)
{
    uint8_t *states[3];
    states[0] = model->rows[0] + 2 * node;
    states[1] = model->rows[1] + 2 * node;
    states[2] = model->rows[2] + 2 * node;
    return plada__mixed(&model->mixer, coder, 3, model->weights[node], states);
}

/* Running means of `last`, in 1/256 */
typedef struct plada__means {
    uint32_t last;
    int32_t fast, middle, slow;
} plada__means;

static void plada__means_start(plada__means *means, uint32_t last)
{
    means->last = last;
    means->fast = means->middle = means->slow = (int32_t)(256 * last);
}

static void plada__means_update(plada__means *means, uint32_t last, unsigned fast)
{
    int32_t target = (int32_t)(256 * last);
    means->last = last;
    means->fast += (target - means->fast) >> fast;
    means->middle += (target - means->middle) >> (fast + 1);
    means->slow += (target - means->slow) >> (fast + 3);
}

/* F(q, node): what a geometric distribution of gaps would make of a node */
static uint32_t plada__first_state(const plada__mixer *mixer, uint32_t q, uint32_t node)
{
    uint32_t h = (355 * (((18 + 4 * (q & 3)) << (q >> 2)) - 8)) >> 5, p, t = node / 3, here, above;
    if (node > 96) {
        here = plada__tail(h, (uint64_t)1 << (node - 97));
        p = (uint32_t)(((uint64_t)here << 16) / (65536 + here));
    } else if (node % 3 == 0) {
        p = plada__tail(h, ((uint64_t)2 << t) - 1);
    } else if (node % 3 == 1) {
        p = plada__tail(h, (uint64_t)1 << t);
    } else {
        here = plada__tail(h, ((uint64_t)2 << t) - 1);
        above = plada__tail(h, ((uint64_t)4 << t) - 1);
        p = (uint32_t)(((uint64_t)(here - above) << 16) / (above < 65536 ? 65536 - above : 1));
    }
    return plada__state(mixer, p, 8);
}

static void plada__first_states(plada__index_model *model)
{
    uint32_t c, q, node;
    uint8_t *table = model->tables;
    const size_t row = 2 * PLADA__NODES;
    /* T2 first, whose context 8q starts with F(q, .); the others copy from there */
    for (q = 0; q < 64; q++) {
        uint8_t *first = table + row * (2048 + 8 * q);
        for (node = 0; node < PLADA__NODES; node++) {
            plada__set16(first + 2 * node, plada__first_state(&model->mixer, q, node));
        }
        for (c = 1; c < 8; c++) memcpy(first + row * c, first, row);
    }
    for (c = 0; c < 2048; c++) memcpy(table + row * c, table + row * (2048 + 8 * (4 * (c & 15) + 2)), row);
}

static int plada__index_mixed(plada__index_model *model, const plada__job *job)
{
    uint32_t N = job->N, j, image = 0, top = plada__log2(N), seen = 0; /* image: the first that is not yet passed */
    uint64_t total = 0;
    plada__means means;
    plada__coder coder = model->mixer.coder;
    plada__first_states(model);
    plada__means_start(&means, plada__at_most(63, plada__log4(N / job->k)));
    for (j = 0; j < job->k; j++) {
        uint32_t b = (uint32_t)means.middle >> 8, t, v, mean = plada__mean(total, seen);
        plada__slow_down(&model->mixer, j);
        plada__contexts(model, b * 16 + (means.last >> 2), ((uint32_t)means.slow >> 8) * 16 + ((uint32_t)means.fast >> 10),
                        seen ? 8 * plada__at_most(63, plada__log4(mean)) + plada__at_most(5, plada__log2(seen + 1)) : 8 * b + 7);
        t = plada__at_most((b + 2) >> 2, top - 1);
        if (plada__decide(model, &coder, 3 * t)) {
            for (t++; t < top && plada__decide(model, &coder, 3 * t + 1); t++) continue;
        } else {
            while (t > 0 && !plada__decide(model, &coder, 3 * t - 1)) t--;
        }
        v = 1;
        if (t) {
            v = (2 + plada__decide(model, &coder, 96 + t)) << (t - 1);
            if (t > 1) v |= plada__raw_bits(&coder, t - 1);
        }
        if (v > N - image) return PLADA_INDEX_RANGE;
        image += v;
        job->indices[j] = image - 1;
        plada__means_update(&means, plada__at_most(63, plada__log4(v)), 2);
        if (seen > 2 && v > 8 * (uint64_t)mean + 8) {
            seen = 0;
            total = 0;
        } else {
            seen++;
            total += v;
            if (seen > 64) seen >>= 1, total >>= 1;
        }
    }
    model->mixer.coder = coder;
    return PLADA_OK;
}

static int plada__index_adaptive(plada__reader *in, plada__job *job)
{
    plada__index_model model;
    PLADA__TRY(plada__coder_begin(in, &model.mixer.coder));
    if (plada__bit(&model.mixer.coder, 32768)) {
        plada__index_model_start(&model, job, 7000);
        PLADA__TRY(plada__index_mixed(&model, job));
    } else {
        PLADA__TRY(plada__positions(&model.mixer.coder, 0, job->N, job->k, job->indices));
    }
    return plada__coder_end(&model.mixer.coder);
}

static uint32_t plada__expected(uint32_t q, uint32_t m)
{
    return q + 24 < m ? 0 : plada__at_most(q + 24 - m, 63);
}

static int plada__index_groups(plada__reader *in, plada__job *job)
{
    plada__index_model model;
    plada__means means;
    uint32_t left = job->k, c, q, last;
    uint32_t *indices = job->indices;
    size_t g;
    PLADA__TRY(plada__coder_begin(in, &model.mixer.coder));
    plada__index_model_start(&model, job, 16000);
    for (c = 0; c < 2560; c++) { /* node 0: is there any image? */
        uint32_t e = c < 2048 ? (c & 1023) >> 4 : 4 * (c & 15) + 2, m = (4 + (e & 3)) << (e >> 2);
        plada__set16(model.tables + 2 * PLADA__NODES * (size_t)c,
                     plada__state(&model.mixer, (uint32_t)(((uint64_t)m << 16) / ((uint64_t)m + 8192)), 5));
    }
    plada__means_start(&means, plada__at_most(63, plada__log4((uint64_t)job->N * 8 / job->k) - 12));
    for (g = 0; left && g < job->num_groups; g++) {
        uint32_t start = job->groups[g], rest = job->N - start, count;
        uint32_t n = g + 1 < job->num_groups ? job->groups[g + 1] - start : rest;
        q = plada__log4(n);
        if (left >= rest) {
            count = n;
        } else {
            unsigned t = 0, most = n + 1 ? plada__log2(n + 1) : 31, i; /* 31: count is below N, so value below 2^32 */
            uint32_t node, value = 1;
            plada__contexts(&model,
                            plada__expected(q, (uint32_t)means.middle >> 8) * 16 + (plada__expected(q, means.last) >> 2),
                            plada__expected(q, (uint32_t)means.slow >> 8) * 16
                                + (plada__expected(q, (uint32_t)means.fast >> 8) >> 2),
                            (q >> 2) * 16 + (plada__expected(q, means.last) >> 2));
            while (t < most && plada__decide(&model, &model.mixer.coder, t)) t++;
            node = 32 + 3 * t;
            for (i = 0; i < 2 && i < t; i++) {
                uint32_t b = plada__decide(&model, &model.mixer.coder, node);
                value = 2 * value + b;
                node += 1 + b;
            }
            if (t > 2) value = value << (t - 2) | plada__raw(&model.mixer.coder, t - 2);
            count = value - 1;
            if (count > n || count > left || left - count > rest - n) return PLADA_INDEX_RANGE;
        }
        PLADA__TRY(plada__positions(&model.mixer.coder, start, n, count, indices));
        indices += count;
        left -= count;
        last = count ? plada__log4((uint64_t)n * 8 / count) - 12 : q + 4;
        plada__means_update(&means, plada__at_most(63, last), 1);
    }
    return plada__coder_end(&model.mixer.coder);
}

/* ---- label-adaptive, label-adaptive-groups (7.6, 7.7) */

enum { PLADA__HASHED = 1 << 18, PLADA__PLACES = 128 * 12 };

static int plada__label_frequencies(plada__coder *coder, const plada__job *job)
{
    uint32_t *counts = job->scratch; /* of each node: ones << 16 | both */
    uint32_t A = job->K, j;
    memset(counts, 0, sizeof *counts * A);
    for (j = 0; j < job->k; j++) {
        uint32_t node = 1;
        while (node < A) {
            uint32_t ones = counts[node] >> 16, both = counts[node] & 0xFFFF;
            uint32_t b = plada__bit(coder, plada__clamp((2 * ones + 1) * 32768 / (both + 1), 32, 65504));
            if (both == 65535) ones >>= 1, both >>= 1;
            counts[node] = (ones + b) << 16 | (both + 1);
            node = 2 * node + b;
        }
        job->labels[j] = (uint16_t)(node - A);
    }
    return PLADA_OK;
}

typedef struct plada__label_model {
    plada__mixer mixer;
    int32_t weights[16][4], question[3];
    uint8_t *hashed, *places, *stay, *local; /* H, Z, L, U */
    uint32_t *stamps, *scores;
    uint32_t A, gain;
} plada__label_model;

static uint32_t plada__hash(uint32_t a, uint32_t b, uint32_t c)
{
    return (uint32_t)((uint64_t)(40503 * a + 60493 * b + 7919 * c) * 1540483 >> 8) & (PLADA__HASHED - 1);
}

static uint8_t *plada__hashed_state(const plada__label_model *model, uint32_t number)
{
    return model->hashed + 2 * (number & (PLADA__HASHED - 1));
}

static void plada__rescale(plada__label_model *model)
{
    uint32_t i;
    if (model->gain <= UINT32_C(1) << 24) return;
    model->gain >>= 16;
    for (i = 0; i < model->A; i++) model->scores[i] >>= 16;
}

static void plada__label_model_start(plada__label_model *model, plada__job *job)
{
    uint32_t A = job->K, words = (A + 1) / 2, *scratch = job->scratch;
    unsigned i;
    plada__mixer_tables(&model->mixer, job);
    scratch += PLADA__MIXER_WORDS;
    model->hashed = (uint8_t *)scratch;
    model->places = (uint8_t *)(scratch += PLADA__HASHED / 2);
    model->stay = (uint8_t *)(scratch += PLADA__PLACES / 2);
    model->local = (uint8_t *)(scratch += words);
    model->stamps = scratch += words;
    model->scores = scratch += A;
    plada__fill16(model->hashed, PLADA__HASHED + PLADA__PLACES + 4 * (size_t)words, PLADA__HALF);
    memset(model->stamps, 0xFF, sizeof *model->stamps * A);
    memset(model->scores, 0, sizeof *model->scores * A);
    for (i = 0; i < 64; i++) model->weights[i / 4][i % 4] = 18000;
    for (i = 0; i < 3; i++) model->question[i] = 18000;
    model->A = A;
    model->gain = 256;
}

static int plada__label_mixed(plada__label_model *model, plada__job *job, int groups)
{
    uint32_t A = job->K, first = 0, second = 1, p1 = 0, p2 = 0, p3 = 0, j, stretch = 0, inside = 0, seen = 0, before = 0;
    uint32_t *scores;
    uint64_t total = 0;
    uint8_t near_by[2], *states[4]; /* near_by: W */
    size_t group = 0;
    plada__coder coder = model->mixer.coder;
    plada__label_model_start(model, job);
    scores = model->scores;
    plada__set16(near_by, PLADA__HALF);
    for (j = 0; j < job->k; j++) {
        uint32_t image = job->indices[j], v = image - before + !j, gap, same, share, label;
        int fresh = 0;
        before = image;
        plada__slow_down(&model->mixer, j);
        if (groups) {
            while (group + 1 < job->num_groups && job->groups[group + 1] <= image) group++, fresh = 1;
        } else if (seen > 2 && v > 32 && v - 32 > 3 * (uint64_t)plada__mean(total, seen)) {
            fresh = 1;
            seen = 0;
            total = 0;
        } else {
            seen++;
            total += v;
            if (seen > 64) seen >>= 1, total >>= 1;
        }
        if (fresh) {
            stretch = j;
            inside = 0;
            plada__set16(near_by, PLADA__HALF);
            model->gain *= 8;
            plada__rescale(model);
        }
        inside++;
        gap = plada__at_most(11, plada__log2(groups ? inside : v));
        share = scores[first] >= 15 * model->gain ? 15 : scores[first] / model->gain; /* gain is below 2^28 */
        same = 4u * (p1 == first) + 2u * (p2 == first) + (p3 == first);

        states[0] = plada__hashed_state(model, plada__hash(first, p1, p2 == first));
        states[1] = model->places + 2 * ((same * 16 + share) * 12 + gap);
        states[2] = near_by;
        label = first;
        if (!plada__mixed(&model->mixer, &coder, 3, model->question, states)) {
            uint32_t b = plada__hash(first, second, 3), c = plada__hash(first, 0, 4), node = 1;
            unsigned depth = 0;
            for (; node < A; depth++) {
                uint32_t bit;
                states[0] = plada__hashed_state(model, b + node);
                states[1] = plada__hashed_state(model, c + node);
                PLADA__PREFETCH(plada__hashed_state(model, b + 2 * node));
                PLADA__PREFETCH(plada__hashed_state(model, c + 2 * node));
                states[2] = model->stay + 2 * node;
                states[3] = model->local + 2 * node;
                if (model->stamps[node] != stretch) {
                    model->stamps[node] = stretch;
                    plada__set16(states[3], PLADA__HALF);
                }
                bit = plada__mixed(&model->mixer, &coder, 4, model->weights[depth], states);
                if (plada__get16(states[2]) >> 12 == 8) plada__set16(states[2], plada__get16(states[2]) - 4096);
                node = 2 * node + bit;
            }
            label = node - A;
            if (label == first) return PLADA_NON_CANONICAL;
        }
        job->labels[j] = (uint16_t)label;
        scores[label] += model->gain;
        if (label != first) {
            if (scores[label] > scores[first]) second = first, first = label;
            else if (label != second && scores[label] > scores[second]) second = label;
        }
        model->gain += model->gain >> 4;
        plada__rescale(model);
        p3 = p2, p2 = p1, p1 = label;
    }
    model->mixer.coder = coder;
    return PLADA_OK;
}

static int plada__label_adaptive(plada__reader *in, plada__job *job, int groups)
{
    plada__label_model model;
    plada__coder *coder = &model.mixer.coder;
    PLADA__TRY(plada__coder_begin(in, coder));
    if (groups || plada__bit(coder, 32768)) {
        PLADA__TRY(plada__label_mixed(&model, job, groups));
    } else {
        PLADA__TRY(plada__label_frequencies(coder, job));
    }
    return plada__coder_end(coder);
}

static uint64_t plada__adaptive_words(const plada_info *info)
{
    uint64_t A = info->num_classes, words = 0;
    if ((info->index_codec & 0xFE) == 0x08) words = PLADA__MIXER_WORDS + PLADA__INDEX_STATES / 2;
    if ((info->label_codec & 0xFE) == 0x28) {
        words = plada__most(words, PLADA__MIXER_WORDS + (PLADA__HASHED + PLADA__PLACES) / 2 + 2 * ((A + 1) / 2) + 2 * A);
    }
    return words;
}

#endif /* PLADA_NO_ADAPTIVE */

/* ---- Ancillary sections (section 8) ---------------------------------------------------------------------------- */

static int plada__check_text(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint32_t c = p[i++], least;
        unsigned more;
        if (c < 0x80) {
            if (c < 0x20 || c == 0x7F) return PLADA_TEXT;
            continue;
        }
        if (c < 0xC2 || c > 0xF4) return PLADA_TEXT;
        more = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        least = c < 0xE0 ? 0x80 : c < 0xF0 ? 0x800 : 0x10000;
        c &= 0x3Fu >> more;
        for (; more; more--) {
            if (i == n || p[i] >> 6 != 2) return PLADA_TEXT;
            c = c << 6 | (p[i++] & 0x3Fu);
        }
        if (c < least || c > 0x10FFFF || c >> 11 == 0x1B) return PLADA_TEXT;
    }
    return PLADA_OK;
}

/* A varint length within the bounds, and as many bytes. */
static int plada__string(plada__reader *in, uint32_t least, uint32_t most, const uint8_t **text, uint32_t *length)
{
    PLADA__TRY(plada__varint(in, length, PLADA_SECTION_CONTENT));
    if (*length < least || *length > most || *length > plada__left(in)) return PLADA_SECTION_CONTENT;
    *text = in->data + in->at;
    in->at += *length;
    return PLADA_OK;
}

static int plada__check_names(plada__reader *in, uint32_t K)
{
    const uint8_t *text;
    uint32_t length, c;
    for (c = 0; c < K; c++) {
        PLADA__TRY(plada__string(in, 0, 1024, &text, &length));
        PLADA__TRY(plada__check_text(text, length));
    }
    return plada__left(in) ? PLADA_SECTION_CONTENT : PLADA_OK;
}

static int plada__check_metadata(plada__reader *in)
{
    const uint8_t *key, *value, *previous = 0;
    uint32_t count, length, previous_length = 0, i;
    if (in->size > 65536) return PLADA_SECTION_CONTENT;
    PLADA__TRY(plada__varint(in, &count, PLADA_SECTION_CONTENT));
    if (count < 1 || count > 256) return PLADA_SECTION_CONTENT;
    for (i = 0; i < count; i++) {
        PLADA__TRY(plada__string(in, 1, 255, &key, &length));
        PLADA__TRY(plada__check_text(key, length));
        if (previous) {
            int order = memcmp(previous, key, length < previous_length ? length : previous_length);
            if (order > 0 || (order == 0 && length <= previous_length)) return PLADA_SECTION_CONTENT;
        }
        previous = key, previous_length = length;
        PLADA__TRY(plada__string(in, 0, 65530, &value, &length));
        PLADA__TRY(plada__check_text(value, length));
    }
    return plada__left(in) ? PLADA_SECTION_CONTENT : PLADA_OK;
}

/* Weights and soft labels: a codec, then its stream of n symbols; K > 0: rows of K symbols that sum to 255. */
PLADA__COLD int plada__symbols_section(plada__reader *in, uint32_t n, uint32_t K, uint8_t *q, uint32_t *scratch)
{
    plada__sink sink;
    unsigned codec;
    plada__sink_start(&sink, 0, q, K);
    if (!in->size) return PLADA_SECTION_CONTENT;
    codec = in->data[0];
    in->data++;
    in->size--;
    PLADA__TRY(plada__label_stream(codec, in, n, 256, &sink, scratch));
    return sink.bad ? PLADA_SECTION_CONTENT : PLADA_OK;
}

/* Weights or soft labels */
static int plada__read_symbols(plada__reader *in, const plada_info *info, unsigned type, uint8_t *q, uint32_t *scratch)
{
    uint32_t K = info->num_classes;
    if (type == PLADA_SOFT_LABELS) {
        return K < 2 || K > 1024 ? PLADA_SECTION_CONTENT : plada__symbols_section(in, K * K, K, q, scratch);
    }
    return info->count ? plada__symbols_section(in, info->count, 0, q, scratch) : PLADA_SECTION_CONTENT;
}

PLADA__COLD int plada__check_ancillary(const plada_section *section, const uint8_t *data, const plada_info *info,
                                       uint32_t *scratch)
{
    plada__reader in;
    in.data = data + (size_t)section->offset, in.size = section->length, in.at = 0;
    switch (section->type) {
    case PLADA_CLASS_NAMES: return plada__check_names(&in, info->num_classes);
    case PLADA_METADATA: return plada__check_metadata(&in);
    case PLADA_WEIGHTS:
    case PLADA_SOFT_LABELS: return plada__read_symbols(&in, info, section->type, 0, scratch);
    default: return PLADA_OK;
    }
}

/* The body of a section, if the file has it. */
static int plada__body(const uint8_t *data, size_t size, const plada_info *info, unsigned type, plada__reader *in)
{
    plada_section section;
    if (!data || !info) return PLADA_INVALID_ARGUMENT;
    PLADA__TRY(plada_find_section(info, type, &section));
    if (section.offset > size || section.length > size - section.offset) return PLADA_TRUNCATED;
    in->data = data + (size_t)section.offset, in->size = section.length, in->at = 0;
    return PLADA_OK;
}

PLADA_API int plada_class_name(const uint8_t *data, size_t size, const plada_info *info, uint32_t number,
                               const uint8_t **text, uint32_t *length)
{
    plada__reader in;
    PLADA__TRY(plada__body(data, size, info, PLADA_CLASS_NAMES, &in));
    if (number >= info->num_classes) return PLADA_INVALID_ARGUMENT;
    do PLADA__TRY(plada__string(&in, 0, 1024, text, length)); while (number--);
    return PLADA_OK;
}

PLADA_API int plada_metadata(const uint8_t *data, size_t size, const plada_info *info, uint32_t number,
                             const uint8_t **key, uint32_t *key_length, const uint8_t **value, uint32_t *value_length)
{
    plada__reader in;
    uint32_t count;
    PLADA__TRY(plada__body(data, size, info, PLADA_METADATA, &in));
    PLADA__TRY(plada__varint(&in, &count, PLADA_SECTION_CONTENT));
    if (number >= count) return PLADA_NO_SECTION;
    do {
        PLADA__TRY(plada__string(&in, 1, 255, key, key_length));
        PLADA__TRY(plada__string(&in, 0, 65530, value, value_length));
    } while (number--);
    return PLADA_OK;
}

static int plada__symbols(const uint8_t *data, size_t size, const plada_info *info, unsigned type, uint8_t *q,
                          uint32_t *scratch, size_t scratch_words)
{
    plada__reader in;
    PLADA__TRY(plada__body(data, size, info, type, &in));
    if (scratch_words < plada_scratch_words(info)) return PLADA_BUFFER_TOO_SMALL;
    return plada__read_symbols(&in, info, type, q, scratch);
}

PLADA_API int plada_weights(const uint8_t *data, size_t size, const plada_info *info, uint8_t *q, uint32_t *scratch,
                            size_t scratch_words)
{
    return plada__symbols(data, size, info, PLADA_WEIGHTS, q, scratch, scratch_words);
}

PLADA_API int plada_soft_labels(const uint8_t *data, size_t size, const plada_info *info, uint8_t *q, uint32_t *scratch,
                                size_t scratch_words)
{
    return plada__symbols(data, size, info, PLADA_SOFT_LABELS, q, scratch, scratch_words);
}

/* ---- The whole (section 9) ------------------------------------------------------------------------------------- */

static int plada__decode_indices(unsigned codec, plada__reader *in, plada__job *job)
{
    uint32_t j;
    if (job->k == 0 || job->k == job->N) {
        for (j = 0; j < job->k; j++) job->indices[j] = j;
        return plada__end(in);
    }
    switch (codec) {
    case 0x00: return plada__index_bitmap(in, job);
    case 0x01: return plada__index_golomb(in, job);
    case 0x02: return plada__index_runs(in, job);
    case 0x03: return plada__index_rans(in, job);
#ifndef PLADA_NO_ADAPTIVE
    case 0x08: return plada__index_adaptive(in, job);
    case 0x09: return plada__index_groups(in, job);
#endif
#ifdef PLADA_ZSTD
    case 0x10: return plada__index_delta_zstd(in, job);
    case 0x11: return plada__index_bitmap_zstd(in, job);
#endif
    default: return PLADA_UNSUPPORTED_CODEC;
    }
}

static int plada__decode_labels(unsigned codec, plada__reader *in, plada__job *job)
{
    plada__sink sink;
    if (job->k == 0 || job->K == 1) {
        if (job->k) memset(job->labels, 0, sizeof *job->labels * job->k);
        return plada__end(in);
    }
#ifndef PLADA_NO_ADAPTIVE
    if (codec == 0x28 || codec == 0x29) return plada__label_adaptive(in, job, codec == 0x29);
#endif
    plada__sink_start(&sink, job->labels, 0, 0);
    return plada__label_stream(codec, in, job->k, job->K, &sink, job->scratch);
}

/* Steps 11 and 12 */
static int plada__decode_streams(const uint8_t *data, const plada_info *info, plada__job *job)
{
    plada_section section;
    plada__reader in;
    unsigned i;
    for (i = 0; plada_section_at(info, i, &section) == PLADA_OK; i++) {
        const uint8_t *body = data + (size_t)section.offset;
        uint32_t crc = plada__crc_update(UINT32_C(0xFFFFFFFF), &section.type, 1);
        if (~plada__crc_update(crc, body, section.length) != plada__u32(body + section.length)) {
            return PLADA_SECTION_CRC;
        }
    }
    for (i = 0; i < 2; i++) {
        plada_section_at(info, i, &section);
        in.data = data + (size_t)section.offset, in.size = section.length, in.at = 0;
        PLADA__TRY(i ? plada__decode_labels(section.type, &in, job) : plada__decode_indices(section.type, &in, job));
    }
    return PLADA_OK;
}

PLADA_API int plada_decode(const uint8_t *data, size_t size, const plada_options *options, const plada_memory *memory)
{
    plada_info info;
    plada__job job;
    plada_section section;
    uint8_t digest[8];
    unsigned i;
    if (!options || !memory) return PLADA_INVALID_ARGUMENT;
    PLADA__TRY(plada_read_header(data, size, &info)); /* 1 to 8 */
    PLADA__TRY(plada_check(&info, options));          /* 9 */
    if (memory->capacity < info.count || memory->scratch_words < plada_scratch_words(&info)) {
        return PLADA_BUFFER_TOO_SMALL;
    }
    if ((info.count && (!memory->indices || !memory->labels)) || (memory->scratch_words && !memory->scratch)) {
        return PLADA_INVALID_ARGUMENT;
    }
    if (size < info.file_size) return PLADA_TRUNCATED; /* 10 */
    if (size > info.file_size) return PLADA_TRAILING_DATA;
    job.N = info.pool_size, job.k = info.count, job.K = info.num_classes;
    job.indices = memory->indices, job.labels = memory->labels, job.scratch = memory->scratch;
    job.groups = options->groups, job.num_groups = options->num_groups;
    job.mixer_ready = 0;
    PLADA__TRY(plada__decode_streams(data, &info, &job)); /* 11, 12 */
    plada_content_digest(job.N, job.k, job.K, job.indices, job.labels, digest); /* 13 */
    if (memcmp(digest, info.content_digest, 8) != 0) return PLADA_CONTENT_DIGEST;
    for (i = 2; options->strict && plada_section_at(&info, i, &section) == PLADA_OK; i++) { /* 14 */
        PLADA__TRY(plada__check_ancillary(&section, data, &info, job.scratch));
    }
    return PLADA_OK;
}

PLADA_API const char *plada_error_name(int code)
{
    static const char names[] =
        "OK\0NOT_PLADA\0TRUNCATED\0UNSUPPORTED_VERSION\0HEADER_LENGTH\0HEADER_CRC\0UNSUPPORTED_FLAG\0BAD_VARINT\0"
        "SECTION_ORDER\0UNKNOWN_CRITICAL_SECTION\0UNSUPPORTED_CODEC\0MINOR_VERSION\0COUNT_EXCEEDS_POOL\0LIMIT\0"
        "POOL_SIZE_MISMATCH\0POOL_MISMATCH\0POOL_UNIDENTIFIED\0GROUPS_MISMATCH\0TRAILING_DATA\0SECTION_CRC\0"
        "STREAM_TRUNCATED\0STREAM_OVERLONG\0PADDING\0PARAMETER\0TABLE\0CODER_STATE\0INDEX_RANGE\0LABEL_RANGE\0"
        "NON_CANONICAL\0ZSTD_FRAME\0CONTENT_DIGEST\0TEXT\0SECTION_CONTENT\0GROUPS_REQUIRED\0GROUPS_FLAG\0";
    const char *name = names;
    if (code == PLADA_INVALID_ARGUMENT) return "INVALID_ARGUMENT";
    if (code == PLADA_BUFFER_TOO_SMALL) return "BUFFER_TOO_SMALL";
    if (code == PLADA_NO_SECTION) return "NO_SECTION";
    if (code < 0 || code > PLADA_GROUPS_FLAG) return "UNKNOWN";
    while (code--) name += strlen(name) + 1;
    return name;
}

#endif /* PLADA_IMPLEMENTED */
#endif /* PLADA_IMPLEMENTATION */
