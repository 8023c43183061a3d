/* plada-decode.c - shows what a payload says, and lists its images and labels.
 *
 *   plada-decode info FILE                 the header, in lines of "name: value"
 *   plada-decode csv FILE [options]        index,label for every kept image, on stdout
 *
 *   --pool-size N         the payload must be for a pool of N images (then the limits below do not apply)
 *   --fingerprint HEX     the payload must carry this pool fingerprint, 32 hexadecimal digits
 *   --groups FILE         first image numbers of the pool's groups: decimal numbers, or u32 in binary
 *   --limit-pool-size N   largest pool that is accepted without --pool-size; default 268435456
 *   --limit-count K       largest number of images that is accepted without --pool-size; default 33554432
 *   --lenient             do not check the content of ancillary sections
 *
 * FILE may be - for standard input. Status: 0, 1 for a payload that is not accepted, 2 for any other mistake.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLADA_IMPLEMENTATION
#include "plada.h"

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("plada-decode: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void refuse(const char *path, int code)
{
    fprintf(stderr, "plada-decode: %s: error %d %s\n", path, code, plada_error_name(code));
    exit(1);
}

static void *allocate(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) fail("out of memory for %lu entries of %lu bytes", (unsigned long)n, (unsigned long)size);
    return p;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t capacity = 1 << 16, got;
    uint8_t *data = (uint8_t *)allocate(capacity, 1);
    if (!file) fail("cannot open %s: %s", path, strerror(errno));
    *size = 0;
    while ((got = fread(data + *size, 1, capacity - *size, file)) > 0) {
        *size += got;
        if (*size == capacity) {
            uint8_t *larger = (uint8_t *)realloc(data, capacity *= 2);
            if (!larger) fail("out of memory for %s", path);
            data = larger;
        }
    }
    if (ferror(file)) fail("cannot read %s: %s", path, strerror(errno));
    if (file != stdin) fclose(file);
    return data;
}

static uint32_t number(const char *text, const char *what)
{
    unsigned long long value;
    char *end;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > 0xFFFFFFFFu) {
        fail("%s: not a number from 0 to 4294967295: %s", what, text);
    }
    return (uint32_t)value;
}

static void fingerprint(const char *text, uint8_t bytes[16])
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    unsigned i;
    for (i = 0; i < 32; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit) break;
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | ((digit - digits) & 15));
    }
    if (i < 32 || text[32]) fail("--fingerprint: not 32 hexadecimal digits: %s", text);
}

static uint32_t *read_groups(const char *path, size_t *count)
{
    size_t size, i;
    uint8_t *data = read_file(path, &size);
    uint32_t *starts = (uint32_t *)allocate(size, sizeof *starts);
    *count = 0;
    for (i = 0; i < size; i++) { /* text? */
        if (!(data[i] >= '0' && data[i] <= '9') && !strchr(" \t\r\n,", data[i])) break;
        if (!data[i]) break;
    }
    if (i < size) {
        if (size % 4) fail("%s: neither decimal numbers nor whole u32", path);
        for (i = 0; i < size; i += 4) starts[(*count)++] = plada__u32(data + i);
    } else {
        for (i = 0; i < size;) {
            char word[12] = "";
            unsigned n = 0;
            while (i < size && (data[i] < '0' || data[i] > '9')) i++;
            while (i < size && data[i] >= '0' && data[i] <= '9' && n < 11) word[n++] = (char)data[i++];
            if (n) starts[(*count)++] = number(word, path);
        }
    }
    free(data);
    return starts;
}

static void print_hex(const char *name, const uint8_t *bytes, unsigned n)
{
    printf("%s: ", name);
    while (n--) printf("%02x", *bytes++);
    putchar('\n');
}

static int info_command(const char *path, const plada_info *info, size_t size)
{
    unsigned i;
    plada_section section;
    printf("file: %s\nversion: 1.%u\npool_size: %lu\ncount: %lu\nnum_classes: %lu\n", path, info->minor_version,
           (unsigned long)info->pool_size, (unsigned long)info->count, (unsigned long)info->num_classes);
    if (info->has_fingerprint) print_hex("pool_fingerprint", info->fingerprint, 16);
    else puts("pool_fingerprint: none");
    print_hex("content_digest", info->content_digest, 8);
    if (info->flags & 1) print_hex("group_digest", info->group_digest, 8);
    for (i = 0; plada_section_at(info, i, &section) == PLADA_OK; i++) {
        printf("section 0x%02x: %lu bytes at %.0f\n", section.type, (unsigned long)section.length,
               (double)section.offset);
    }
    printf("file_size: %.0f\nscratch: %.0f bytes\n", (double)info->file_size,
           4.0 * (double)plada_scratch_words(info));
    if (size != info->file_size) {
        refuse(path, size < info->file_size ? PLADA_TRUNCATED : PLADA_TRAILING_DATA);
    }
    return 0;
}

int main(int argc, char **argv)
{
    plada_options options = plada_default_options();
    plada_memory memory;
    plada_info info;
    static uint8_t expected[16];
    const char *path = NULL;
    uint8_t *data;
    size_t size;
    uint32_t j;
    int i, error, csv = argc > 1 && strcmp(argv[1], "csv") == 0;
    if (argc < 3 || (!csv && strcmp(argv[1], "info") != 0)) fail("usage: plada-decode info|csv FILE [options]");
    for (i = 2; i < argc; i++) {
        const char *option = argv[i];
        if (strncmp(option, "--", 2) != 0) {
            if (path) fail("more than one file: %s", option);
            path = option;
        } else if (strcmp(option, "--lenient") == 0) {
            options.strict = 0;
        } else if (i + 1 == argc) {
            fail("%s: unknown, or its value is missing", option);
        } else if (strcmp(option, "--pool-size") == 0) {
            options.has_pool_size = 1;
            options.pool_size = number(argv[++i], option);
        } else if (strcmp(option, "--limit-pool-size") == 0) {
            options.limit_pool_size = number(argv[++i], option);
        } else if (strcmp(option, "--limit-count") == 0) {
            options.limit_count = number(argv[++i], option);
        } else if (strcmp(option, "--fingerprint") == 0) {
            fingerprint(argv[++i], expected);
            options.fingerprint = expected;
        } else if (strcmp(option, "--groups") == 0) {
            options.groups = read_groups(argv[++i], &options.num_groups);
        } else {
            fail("unknown option %s", option);
        }
    }
    if (!path) fail("no file");
    data = read_file(path, &size);
    error = plada_read_header(data, size, &info);
    if (error) refuse(path, error);
    if (!csv) return info_command(path, &info, size);

    error = plada_check(&info, &options);
    if (!error && size != info.file_size) error = size < info.file_size ? PLADA_TRUNCATED : PLADA_TRAILING_DATA;
    if (error) refuse(path, error);
    memory.capacity = info.count;
    memory.indices = (uint32_t *)allocate(memory.capacity, sizeof *memory.indices);
    memory.labels = (uint16_t *)allocate(memory.capacity, sizeof *memory.labels);
    memory.scratch_words = plada_scratch_words(&info);
    memory.scratch = (uint32_t *)allocate(memory.scratch_words, sizeof *memory.scratch);
    error = plada_decode(data, size, &options, &memory);
    if (error) refuse(path, error);
    puts("index,label");
    for (j = 0; j < info.count; j++) printf("%lu,%u\n", (unsigned long)memory.indices[j], memory.labels[j]);
    if (fflush(stdout) || ferror(stdout)) fail("cannot write: %s", strerror(errno));
    return 0;
}
