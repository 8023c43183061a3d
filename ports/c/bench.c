/* bench.c - times the decoding of one payload, best of many runs, and prints a line of JSON. Times are CPU time.
 *
 *   plada-bench FILE [seconds [groups-file]]       groups-file: u32 group starts, little-endian
 *
 * With libzstd it also times, for scale, what the paper sends: Zstandard level 19 over the gaps (1, 2 or 4 bytes each)
 * and the labels (1 or 2 bytes) of the same content, decompressed and parsed into the same arrays.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLADA_IMPLEMENTATION
#include "plada.h"

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "plada-bench: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static void *allocate(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) fail("out of memory", 0);
    return p;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long end;
    if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
        fail("cannot read", path);
        return 0;
    }
    *size = (size_t)end;
    data = (uint8_t *)allocate(*size);
    if (fread(data, 1, *size, file) != *size) fail("cannot read", path);
    fclose(file);
    return data;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    const uint8_t *data;
    size_t size;
    plada_info info;
    plada_options options;
    plada_memory memory;
    plada__job job;
    uint8_t *frame, *raw;
    size_t frame_size, raw_size;
    unsigned gap_width, label_width;
    uint32_t *indices;
    uint16_t *labels;
} state;

static int run_all(state *s)
{
    return plada_decode(s->data, s->size, &s->options, &s->memory);
}

static int run_without_digest(state *s)
{
    plada_info info;
    int error = plada_read_header(s->data, s->size, &info);
    s->job.mixer_ready = 0;
    if (!error) error = plada_check(&info, &s->options);
    return error ? error : plada__decode_streams(s->data, &info, &s->job);
}

static int run_stream(state *s, unsigned number)
{
    plada_section section;
    plada__reader in;
    s->job.mixer_ready = 0;
    if (plada_section_at(&s->info, number, &section)) return PLADA_NO_SECTION;
    in.data = s->data + section.offset, in.size = section.length, in.at = 0;
    return number ? plada__decode_labels(section.type, &in, &s->job)
                  : plada__decode_indices(section.type, &in, &s->job);
}

static int run_index(state *s)
{
    return run_stream(s, 0);
}

static int run_label(state *s)
{
    return run_stream(s, 1);
}

#ifdef PLADA_ZSTD
static void make_frame(state *s)
{
    uint32_t largest = 0, j, k = s->info.count;
    unsigned b;
    for (j = 0; j < k; j++) {
        uint32_t gap = s->memory.indices[j] - (j ? s->memory.indices[j - 1] : 0);
        if (gap > largest) largest = gap;
    }
    s->gap_width = largest < 1 << 8 ? 1 : largest < 1 << 16 ? 2 : 4;
    s->label_width = s->info.num_classes <= 256 ? 1 : 2;
    s->raw_size = (size_t)k * (s->gap_width + s->label_width);
    s->raw = (uint8_t *)allocate(s->raw_size);
    for (j = 0; j < k; j++) {
        uint32_t gap = s->memory.indices[j] - (j ? s->memory.indices[j - 1] : 0);
        uint8_t *label = s->raw + (size_t)k * s->gap_width + (size_t)j * s->label_width;
        for (b = 0; b < s->gap_width; b++) s->raw[(size_t)j * s->gap_width + b] = (uint8_t)(gap >> (8 * b));
        for (b = 0; b < s->label_width; b++) label[b] = (uint8_t)(s->memory.labels[j] >> (8 * b));
    }
    s->frame_size = ZSTD_compressBound(s->raw_size);
    s->frame = (uint8_t *)allocate(s->frame_size);
    s->frame_size = ZSTD_compress(s->frame, s->frame_size, s->raw, s->raw_size, 19);
    if (ZSTD_isError(s->frame_size)) fail("zstd cannot compress", 0);
    s->indices = (uint32_t *)allocate(4 * (size_t)k);
    s->labels = (uint16_t *)allocate(2 * (size_t)k);
}

static int run_zstd(state *s)
{
    uint32_t j, k = s->info.count, index = 0;
    const uint8_t *p = s->raw, *labels = s->raw + (size_t)k * s->gap_width;
    if (ZSTD_decompress(s->raw, s->raw_size, s->frame, s->frame_size) != s->raw_size) return 1;
    switch (s->gap_width) {
    case 1: for (j = 0; j < k; j++) s->indices[j] = index += p[j]; break;
    case 2: for (j = 0; j < k; j++) s->indices[j] = index += plada__u16(p + 2 * (size_t)j); break;
    default: for (j = 0; j < k; j++) s->indices[j] = index += plada__u32(p + 4 * (size_t)j); break;
    }
    if (s->label_width == 1) for (j = 0; j < k; j++) s->labels[j] = labels[j];
    else for (j = 0; j < k; j++) s->labels[j] = (uint16_t)plada__u16(labels + 2 * (size_t)j);
    return 0;
}
#endif

static double best(int (*run)(state *), state *s, double seconds)
{
    double least = 1e9, end = now() + seconds;
    do {
        double start = now(), taken;
        int error = run(s);
        taken = now() - start;
        if (error) fail("does not decode", plada_error_name(error));
        if (taken < least) least = taken;
    } while (now() < end);
    return 1e3 * least;
}

int main(int argc, char **argv)
{
    static state s;
    double seconds = argc > 2 ? atof(argv[2]) : 1.0;
    uint8_t *groups;
    size_t size, i;
    int error;
    if (argc < 2 || argc > 4) fail("usage: plada-bench FILE [seconds [groups-file]]", 0);
    s.data = read_file(argv[1], &s.size);
    s.options = plada_default_options();
    if (argc > 3) {
        uint32_t *starts;
        groups = read_file(argv[3], &size);
        starts = (uint32_t *)allocate(size);
        for (i = 0; i < size / 4; i++) starts[i] = plada__u32(groups + 4 * i);
        s.options.groups = starts, s.options.num_groups = size / 4;
        free(groups);
    }
    error = plada_read_header(s.data, s.size, &s.info);
    if (!error) error = plada_check(&s.info, &s.options);
    if (error) fail(argv[1], plada_error_name(error));
    s.memory.capacity = s.info.count;
    s.memory.indices = (uint32_t *)allocate(4 * (size_t)s.info.count);
    s.memory.labels = (uint16_t *)allocate(2 * (size_t)s.info.count);
    s.memory.scratch_words = plada_scratch_words(&s.info);
    s.memory.scratch = (uint32_t *)allocate(4 * s.memory.scratch_words);
    error = run_all(&s);
    if (error) fail(argv[1], plada_error_name(error));
    s.job.N = s.info.pool_size, s.job.k = s.info.count, s.job.K = s.info.num_classes;
    s.job.indices = s.memory.indices, s.job.labels = s.memory.labels, s.job.scratch = s.memory.scratch;
    s.job.groups = s.options.groups, s.job.num_groups = s.options.num_groups;
    printf("{\"bytes\": %lu, \"pool_size\": %lu, \"count\": %lu, \"num_classes\": %lu, \"index_codec\": %u, "
           "\"label_codec\": %u, \"decode_ms\": %.4f", (unsigned long)s.size, (unsigned long)s.info.pool_size,
           (unsigned long)s.info.count, (unsigned long)s.info.num_classes, s.info.index_codec, s.info.label_codec,
           best(run_all, &s, seconds));
    printf(", \"decode_without_digest_ms\": %.4f", best(run_without_digest, &s, seconds));
    printf(", \"index_ms\": %.4f", best(run_index, &s, seconds));
    printf(", \"label_ms\": %.4f", best(run_label, &s, seconds));
#ifdef PLADA_ZSTD
    if (run_all(&s) == PLADA_OK && s.info.count) {
        make_frame(&s);
        printf(", \"zstd_layout_bytes\": %lu, \"zstd_layout_ms\": %.4f", (unsigned long)s.frame_size,
               best(run_zstd, &s, seconds));
    }
#endif
    printf("}\n");
    return 0;
}
