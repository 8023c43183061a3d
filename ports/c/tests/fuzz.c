/* fuzz.c - libFuzzer target. The first byte of an input says what to do with the rest:
 *
 *   bit 0 = 0   a file, decoded as it is
 *   bit 0 = 1   a file whose checksums, and in a second try its content digest, are repaired first
 *   bits 1, 2   1: the pool size is given; 2: groups are given (their starts are made from N and the next byte)
 *
 * Every block that the decoder sees has exactly the size that it was told; the sanitizers do the rest. What is accepted
 * must be well-formed, must carry its own digest, and must decode to the same when it is decoded again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLADA_IMPLEMENTATION
#include "../plada.h"

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) {                                           \
            fprintf(stderr, "line %d: " #condition "\n", __LINE__);   \
            abort();                                                  \
        }                                                             \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { LIMIT_COUNT = 1 << 14 };

static void *allocate(size_t n)
{
    void *p = malloc(n ? n : 1);
    CHECK(p);
    return p;
}

static void put32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value, p[1] = (uint8_t)(value >> 8), p[2] = (uint8_t)(value >> 16), p[3] = (uint8_t)(value >> 24);
}

/* Sets the CRCs that lie within the file, as far as its header can be read. */
static void repair(uint8_t *data, size_t size)
{
    plada_info info;
    plada_section section;
    unsigned i;
    if (size < 54 || data[10] < 54 || data[10] > size) return;
    put32(data + data[10] - 4, plada_crc32(data, (size_t)data[10] - 4));
    (void)plada_read_header(data, size, &info);
    for (i = 0; info.num_sections && plada_section_at(&info, i, &section) == PLADA_OK; i++) {
        uint8_t *body, *copy;
        if (section.offset + section.length + 4 > size) return;
        body = data + section.offset;
        copy = (uint8_t *)allocate((size_t)section.length + 1);
        copy[0] = section.type;
        memcpy(copy + 1, body, section.length);
        put32(body + section.length, plada_crc32(copy, (size_t)section.length + 1));
        free(copy);
    }
}

static size_t make_groups(uint32_t N, unsigned seed, uint32_t starts[256])
{
    uint32_t step = N / (1 + seed % 61) + 1, start = 0;
    size_t n = 0;
    for (; n < 256 && start < N; start += 1 + (step * (1 + (uint32_t)n % 3)) / 2) starts[n++] = start;
    return n;
}

static int decode(uint8_t *data, size_t size, const plada_options *options, int fix)
{
    plada_memory memory;
    plada_info info;
    uint8_t digest[8];
    uint32_t j;
    int error = plada_read_header(data, size, &info), again;
    if (!error) error = plada_check(&info, options);
    if (error) {
        memset(&memory, 0, sizeof memory);
        memory.indices = 0, memory.labels = 0, memory.scratch = 0;
        CHECK(plada_decode(data, size, options, &memory) == error);
        return error;
    }
    if (info.count > LIMIT_COUNT || plada_scratch_words(&info) > 1 << 21) return PLADA_LIMIT;
    memory.capacity = info.count;
    memory.scratch_words = plada_scratch_words(&info);
    memory.indices = (uint32_t *)allocate(4 * memory.capacity);
    memory.labels = (uint16_t *)allocate(2 * memory.capacity);
    memory.scratch = (uint32_t *)allocate(4 * memory.scratch_words);
    error = plada_decode(data, size, options, &memory);
    if (error == PLADA_OK || error == PLADA_CONTENT_DIGEST) {
        for (j = 0; j < info.count; j++) {
            CHECK(memory.indices[j] < info.pool_size && (!j || memory.indices[j] > memory.indices[j - 1]));
            CHECK(memory.labels[j] < info.num_classes);
        }
        plada_content_digest(info.pool_size, info.count, info.num_classes, memory.indices, memory.labels, digest);
        CHECK((memcmp(digest, info.content_digest, 8) == 0) == !error);
        if (error && fix) {
            memcpy(data + 38, digest, 8);
            repair(data, size);
        }
        again = plada_decode(data, size, options, &memory);
        CHECK(again == error || (fix && again != PLADA_CONTENT_DIGEST));
        error = again;
    }
    if (!error) {
        plada_section section;
        if (plada_find_section(&info, PLADA_WEIGHTS, &section) == PLADA_OK) {
            uint8_t *q = (uint8_t *)allocate(info.count);
            again = plada_weights(data, size, &info, q, memory.scratch, memory.scratch_words);
            CHECK(again == PLADA_OK || !options->strict);
            free(q);
        }
        if (plada_find_section(&info, PLADA_SOFT_LABELS, &section) == PLADA_OK) {
            uint8_t *q = (uint8_t *)allocate((size_t)info.num_classes * info.num_classes);
            again = plada_soft_labels(data, size, &info, q, memory.scratch, memory.scratch_words);
            CHECK(again == PLADA_OK || !options->strict);
            free(q);
        }
    }
    free(memory.indices);
    free(memory.labels);
    free(memory.scratch);
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    plada_options options = plada_default_options();
    uint32_t starts[256];
    uint8_t *data;
    unsigned mode;
    if (size < 2) return 0;
    mode = input[0];
    data = (uint8_t *)allocate(size - 2);
    memcpy(data, input + 2, size - 2);
    size -= 2;
    options.limit_count = LIMIT_COUNT;
    options.limit_pool_size = 1 << 22;
    options.strict = !(mode & 8);
    if (size >= 54) {
        options.pool_size = plada__u32(data + 12);
        options.has_pool_size = mode >> 1 & 1;
        if (mode & 4 && options.pool_size) {
            options.num_groups = make_groups(options.pool_size, input[1], starts);
            options.groups = starts;
        }
    }
    if (mode & 1) {
        if (options.groups && size >= 62 && data[11] == 1) plada_group_digest(starts, options.num_groups, data + 46);
        repair(data, size);
    }
    decode(data, size, &options, mode & 1);
    free(data);
    return 0;
}
