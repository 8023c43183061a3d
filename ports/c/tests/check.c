/* check.c - what a list of vectors says, and what must hold for every one of them whatever it says.
 *
 *   check LIST      lines of tab-separated: path, error code, content digest, pool size, fingerprint, group starts with
 *                   commas between them, "beyond" if it has a codec outside profile baseline ("-": not given)
 *
 * Each file lies in a heap block of exactly its size, as do outputs and scratch (for AddressSanitizer and valgrind),
 * and is decoded a second time between guard bands (for builds without either).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLADA_IMPLEMENTATION
#include "../plada.h"

enum { GUARD = 64 };

static unsigned long failures, decodes, cuts, skipped;

static void complain(const char *path, const char *what, int got, int expected)
{
    printf("FAIL %s: %s: %d %s, not %d %s\n", path, what, got, plada_error_name(got), expected,
           plada_error_name(expected));
    failures++;
}

static void *allocate(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) {
        puts("out of memory");
        exit(2);
    }
    return p;
}

/* A block between bands; plain blocks have none, so that a sanitizer sees every step outside. */
static void *guarded(size_t n, int bands)
{
    uint8_t *p = (uint8_t *)allocate(n + 2 * GUARD * (size_t)bands);
    memset(p, 0xA5, n + 2 * GUARD * (size_t)bands);
    return p + GUARD * bands;
}

static void release(const char *path, void *block, size_t n, int bands)
{
    uint8_t *p = (uint8_t *)block - GUARD * bands;
    size_t i;
    for (i = 0; bands && i < GUARD; i++) {
        if (p[i] != 0xA5 || p[GUARD + n + i] != 0xA5) {
            complain(path, "guard band", (int)i, -1);
            break;
        }
    }
    free(p);
}

static int decode(const char *path, const uint8_t *data, size_t size, const plada_options *options, int bands,
                  uint8_t digest[8])
{
    plada_memory memory;
    plada_info info;
    uint32_t j;
    int error = plada_read_header(data, size, &info);
    if (!error) error = plada_check(&info, options);
    if (!error && size != info.file_size) error = size < info.file_size ? PLADA_TRUNCATED : PLADA_TRAILING_DATA;
    memset(digest, 0, 8);
    if (error) {
        plada_memory none;
        int whole;
        memset(&none, 0, sizeof none);
        none.indices = 0, none.labels = 0, none.scratch = 0;
        whole = plada_decode(data, size, options, &none);
        if (whole != error && whole != PLADA_BUFFER_TOO_SMALL) complain(path, "plada_decode without memory", whole, error);
        return error;
    }
    memory.capacity = info.count;
    memory.scratch_words = plada_scratch_words(&info);
    memory.indices = (uint32_t *)guarded(4 * memory.capacity, bands);
    memory.labels = (uint16_t *)guarded(2 * memory.capacity, bands);
    memory.scratch = (uint32_t *)guarded(4 * memory.scratch_words, bands);
    decodes++;
    error = plada_decode(data, size, options, &memory);
    if (!error) {
        for (j = 0; j < info.count; j++) {
            if (memory.indices[j] >= info.pool_size || (j && memory.indices[j] <= memory.indices[j - 1])
                || memory.labels[j] >= info.num_classes) {
                complain(path, "content", (int)j, -1);
                break;
            }
        }
        plada_content_digest(info.pool_size, info.count, info.num_classes, memory.indices, memory.labels, digest);
    }
    if (memory.capacity && !bands) {
        memory.capacity--;
        if (plada_decode(data, size, options, &memory) != PLADA_BUFFER_TOO_SMALL) complain(path, "capacity", 0, 128);
        memory.capacity++;
    }
    if (memory.scratch_words && !bands) {
        memory.scratch_words--;
        if (plada_decode(data, size, options, &memory) != PLADA_BUFFER_TOO_SMALL) complain(path, "scratch", 0, 128);
        memory.scratch_words++;
    }
    release(path, memory.indices, 4 * memory.capacity, bands);
    release(path, memory.labels, 2 * memory.capacity, bands);
    release(path, memory.scratch, 4 * memory.scratch_words, bands);
    return error;
}

/* Every beginning of a valid file is TRUNCATED. */
static void cut_file(const char *path, const uint8_t *data, size_t size, const plada_options *options)
{
    size_t n;
    uint8_t digest[8];
    plada_memory generous; /* never written to */
    generous.indices = (uint32_t *)allocate(4), generous.labels = (uint16_t *)generous.indices;
    generous.scratch = generous.indices, generous.capacity = generous.scratch_words = SIZE_MAX;
    for (n = 0; n < size; n++) {
        uint8_t *copy = n <= 300 ? (uint8_t *)allocate(n) : NULL; /* later bytes are not even looked at */
        int error;
        if (copy) memcpy(copy, data, n);
        error = copy ? decode(path, copy, n, options, 0, digest) : plada_decode(data, n, options, &generous);
        if (error != PLADA_TRUNCATED) {
            complain(path, "cut", error, PLADA_TRUNCATED);
            n = size;
        }
        free(copy);
        cuts++;
    }
    free(generous.indices);
}

/* Beginnings of the two streams, and the streams with a byte more, without the checks that surround them. */
static void cut_streams(const char *path, const uint8_t *data, const plada_info *info, const plada_options *options)
{
    plada_section section;
    plada__job job;
    unsigned number;
    size_t words = plada_scratch_words(info), n;
    job.N = info->pool_size, job.k = info->count, job.K = info->num_classes;
    job.groups = options->groups, job.num_groups = options->num_groups;
    job.mixer_ready = 0;
    job.indices = (uint32_t *)allocate(4 * (size_t)job.k);
    job.labels = (uint16_t *)allocate(2 * (size_t)job.k);
    job.scratch = (uint32_t *)allocate(4 * words);
    for (number = 0; number < 2; number++) {
        size_t step;
        if (plada_section_at(info, number, &section) != PLADA_OK) continue;
        /* every length, but where that takes long (big tables to set up, many images): some, and the last ones */
        step = (section.type & 0x1E) == 8 ? section.length / 8 + 1 : job.k > 4096 ? section.length / 64 + 1 : 1;
        for (n = 0; n <= (size_t)section.length + 1; n += n + 4 > section.length ? 1 : step) {
            uint8_t *copy = (uint8_t *)allocate(n);
            plada__reader in;
            int error, adaptive = (section.type & 0x1E) == 8;
            if (n == section.length) {
                free(copy);
                continue;
            }
            memcpy(copy, data + (size_t)section.offset, n < section.length ? n : section.length);
            if (n > section.length) copy[n - 1] = 0;
            in.data = copy, in.size = n, in.at = 0;
            error = number ? plada__decode_labels(section.type, &in, &job)
                           : plada__decode_indices(section.type, &in, &job);
            /* a cut adaptive stream may be that of another content */
            if (!error && !(adaptive && n < section.length)) complain(path, "stream of another length", error, -1);
            free(copy);
            cuts++;
        }
        /* labels may need the indices */
        if (number == 0) {
            plada__reader in;
            in.data = data + (size_t)section.offset, in.size = section.length, in.at = 0;
            plada__decode_indices(section.type, &in, &job);
        }
    }
    free(job.indices);
    free(job.labels);
    free(job.scratch);
}

static void check_ancillary(const char *path, const uint8_t *data, size_t size, const plada_info *info)
{
    const uint8_t *key, *value;
    uint32_t length, other, i;
    plada_section section;
    size_t words = plada_scratch_words(info);
    uint32_t *scratch = (uint32_t *)allocate(4 * words);
    int error = plada_find_section(info, PLADA_CLASS_NAMES, &section);
    for (i = 0; !error && i < info->num_classes; i++) {
        error = plada_class_name(data, size, info, i, &key, &length);
        if (!error && (size_t)(key - data) + length > size) error = -1;
        if (info->num_classes > 1000) i += 97; /* each call starts from the first name */
    }
    if (error && error != PLADA_NO_SECTION) complain(path, "class names", error, 0);
    for (i = 0, error = 0; !error; i++) {
        error = plada_metadata(data, size, info, i, &key, &length, &value, &other);
        if (!error && (size_t)(value - data) + other > size) error = -1;
    }
    if (error != PLADA_NO_SECTION) complain(path, "metadata", error, PLADA_NO_SECTION);
    if (plada_find_section(info, PLADA_WEIGHTS, &section) == PLADA_OK) {
        uint8_t *q = (uint8_t *)guarded(info->count, 1);
        error = plada_weights(data, size, info, q, scratch, words);
        if (error) complain(path, "weights", error, 0);
        release(path, q, info->count, 1);
    }
    if (plada_find_section(info, PLADA_SOFT_LABELS, &section) == PLADA_OK) {
        uint32_t K = info->num_classes, sum = 0, j;
        uint8_t *q = (uint8_t *)guarded((size_t)K * K, 1);
        error = plada_soft_labels(data, size, info, q, scratch, words);
        for (j = 0; j < K * K; j++) sum += q[j];
        if (error || sum != 255 * K) complain(path, "soft labels", error, 0);
        release(path, q, (size_t)K * K, 1);
    }
    free(scratch);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long end = 0;
    if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
        printf("cannot read %s\n", path);
        exit(2);
    }
    *size = (size_t)end;
    data = (uint8_t *)allocate(*size);
    if (fread(data, 1, *size, file) != *size) {
        printf("cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    return data;
}

static void hex(const char *text, uint8_t *bytes, unsigned n)
{
    unsigned i, value;
    for (i = 0; i < n; i++) {
        if (sscanf(text + 2 * i, "%2x", &value) != 1) value = 0;
        bytes[i] = (uint8_t)value;
    }
}

static void check_line(char *line)
{
    char *path = strtok(line, "\t\n"), *code = strtok(NULL, "\t\n"), *digest = strtok(NULL, "\t\n");
    char *pool = strtok(NULL, "\t\n"), *print = strtok(NULL, "\t\n"), *groups = strtok(NULL, "\t\n"), *codecs;
    plada_options options = plada_default_options();
    uint8_t fingerprint[16], expected_digest[8], got_digest[8];
    uint32_t *starts = NULL;
    plada_info info;
    uint8_t *data;
    size_t size;
    int expected, error, bands;
    codecs = strtok(NULL, "\t\n");
    if (!codecs) {
        puts("malformed list");
        exit(2);
    }
    expected = atoi(code);
    data = read_file(path, &size);
    if (*pool != '-') options.has_pool_size = 1, options.pool_size = (uint32_t)strtoul(pool, NULL, 10);
    if (*print != '-') hex(print, fingerprint, 16), options.fingerprint = fingerprint;
    if (*groups != '-') {
        char *next = groups;
        starts = (uint32_t *)allocate(4 * strlen(groups));
        while (*next) {
            starts[options.num_groups++] = (uint32_t)strtoul(next, &next, 10);
            if (*next == ',') next++;
        }
        options.groups = starts;
    }
    for (bands = 0; bands < 2; bands++) {
        error = decode(path, data, size, &options, bands, got_digest);
        if (error == PLADA_UNSUPPORTED_CODEC && expected != error && *codecs != '-') {
            skipped++; /* a codec that is not built in */
            break;
        }
        if (error != expected) complain(path, "code", error, expected);
        if (!expected) {
            hex(digest, expected_digest, 8);
            if (memcmp(got_digest, expected_digest, 8) != 0) complain(path, "digest", 0, 0);
        }
    }
    if (!error && !expected) {
        if (plada_read_header(data, size, &info)) complain(path, "header", 1, 0);
        cut_file(path, data, size, &options);
        cut_streams(path, data, &info, &options);
        check_ancillary(path, data, size, &info);
    }
    free(starts);
    free(data);
}

static void check_digests(void)
{
    static const uint8_t abc[32] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
    static const uint8_t million[32] = {
        0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
        0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0 };
    uint8_t digest[32], *bytes = (uint8_t *)allocate(1000000);
    uint32_t crc;
    size_t i, n;
    plada_sha256((const uint8_t *)"abc", 3, digest);
    if (memcmp(digest, abc, 32) != 0) complain("SHA-256", "abc", 0, 0);
    memset(bytes, 'a', 1000000);
    plada_sha256(bytes, 1000000, digest);
    if (memcmp(digest, million, 32) != 0) complain("SHA-256", "a million times a", 0, 0);
    if (plada_crc32((const uint8_t *)"123456789", 9) != 0xCBF43926u) complain("CRC-32", "123456789", 0, 0);
    for (i = 0; i < 20000; i++) bytes[i] = (uint8_t)(i * i * 2654435761u >> 13);
    for (n = 4080; n < 20000; n += 331) { /* long runs take another way than short ones */
        crc = 0xFFFFFFFFu;
        for (i = 0; i < n; i++) crc = plada__crc_update(crc, bytes + i, 1);
        if (~crc != plada_crc32(bytes, n)) complain("CRC-32", "length", (int)n, 0);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    static char line[1 << 20];
    unsigned long lines = 0;
    FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!list) {
        puts("usage: check LIST");
        return 2;
    }
    check_digests();
    if (strcmp(plada_error_name(PLADA_GROUPS_FLAG), "GROUPS_FLAG") != 0) complain("error names", "last", 34, 34);
    if (strcmp(plada_error_name(PLADA_CODER_STATE), "CODER_STATE") != 0) complain("error names", "25", 25, 25);
    while (fgets(line, sizeof line, list)) {
        check_line(line);
        lines++;
    }
    fclose(list);
    printf("%lu vectors (%lu of codecs that are not built in), %lu decoded, %lu cut, %lu failures\n", lines, skipped, decodes,
           cuts, failures);
    return failures != 0 || lines == 0;
}
