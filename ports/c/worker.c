/* worker.c - decodes payloads for the conformance runner: one process, requests on stdin, answers on stdout.
 *
 * request:  u32 length of the rest; u8 flags (1 pool size, 2 fingerprint, 4 groups are given), u32 pool size,
 *           16 bytes fingerprint, u32 limit of N, u32 limit of k, u32 G, G u32 group starts, u32 F, F bytes of the file
 * answer:   u8 error code, 8 bytes digest of the decoded content, u32 k; zeros unless the file is accepted
 *
 * All numbers are little-endian. A request that does not add up ends the process with status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#define PLADA_IMPLEMENTATION
#include "plada.h"

typedef struct {
    uint8_t *bytes;
    size_t capacity;
} buffer;

static void fail(const char *what)
{
    fprintf(stderr, "plada worker: %s\n", what);
    exit(1);
}

/* Space for n bytes, aligned for any type; never null. */
static void *space(buffer *b, size_t n)
{
    if (n > b->capacity || !b->bytes) {
        free(b->bytes);
        b->capacity = n < 4096 ? 4096 : n;
        b->bytes = (uint8_t *)malloc(b->capacity);
        if (!b->bytes) fail("out of memory");
    }
    return b->bytes;
}

static uint32_t u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int decode(const uint8_t *request, size_t size, uint8_t answer[13])
{
    static buffer groups, indices, labels, scratch, file;
    plada_options options = plada_default_options();
    plada_memory memory;
    plada_info info;
    uint32_t G, F, i, *starts;
    uint8_t *data;
    int error;
    if (size < 37) fail("request too short");
    G = u32(request + 29);
    if (G > (size - 37) / 4) fail("group starts beyond the request");
    F = u32(request + 33 + 4 * (size_t)G);
    if (F != size - 37 - 4 * (size_t)G) fail("file length does not fit the request");

    options.has_pool_size = request[0] & 1;
    options.pool_size = u32(request + 1);
    if (request[0] & 2) options.fingerprint = request + 5;
    options.limit_pool_size = u32(request + 21);
    options.limit_count = u32(request + 25);
    starts = (uint32_t *)space(&groups, 4 * (size_t)G);
    for (i = 0; i < G; i++) starts[i] = u32(request + 33 + 4 * (size_t)i);
    options.num_groups = G;
    if (request[0] & 4) options.groups = starts;
    data = (uint8_t *)space(&file, F);
    memcpy(data, request + size - F, F);

    error = plada_read_header(data, F, &info);
    if (!error) error = plada_check(&info, &options);
    if (!error && F != info.file_size) error = F < info.file_size ? PLADA_TRUNCATED : PLADA_TRAILING_DATA;
    if (error) return error;
    memory.capacity = info.count;
    memory.indices = (uint32_t *)space(&indices, 4 * (size_t)info.count);
    memory.labels = (uint16_t *)space(&labels, 2 * (size_t)info.count);
    memory.scratch_words = plada_scratch_words(&info);
    memory.scratch = (uint32_t *)space(&scratch, 4 * memory.scratch_words);
    error = plada_decode(data, F, &options, &memory);
    if (error) return error;
    plada_content_digest(info.pool_size, info.count, info.num_classes, memory.indices, memory.labels, answer + 1);
    for (i = 0; i < 4; i++) answer[9 + i] = (uint8_t)(info.count >> (8 * i));
    return PLADA_OK;
}

int main(int argc, char **argv)
{
    static buffer request;
    uint8_t head[4], answer[13];
#ifdef PLADA_ZSTD
    const char *zstd = "true";
#else
    const char *zstd = "false";
#endif
#ifdef PLADA_NO_ADAPTIVE
    const char *adaptive = "false";
#else
    const char *adaptive = "true";
#endif
    if (argc > 1) {
        if (argc > 2 || strcmp(argv[1], "--capabilities") != 0) fail("the only argument is --capabilities");
        printf("{\"name\": \"c\", \"zstd\": %s, \"adaptive\": %s}\n", zstd, adaptive);
        return 0;
    }
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    for (;;) {
        size_t got = fread(head, 1, 4, stdin), size;
        if (got == 0 && feof(stdin)) return 0;
        if (got != 4) fail("input ends within a request");
        size = u32(head);
        if (fread(space(&request, size), 1, size, stdin) != size) fail("input ends within a request");
        memset(answer, 0, sizeof answer);
        answer[0] = (uint8_t)decode(request.bytes, size, answer);
        if (fwrite(answer, 1, sizeof answer, stdout) != sizeof answer || fflush(stdout)) fail("cannot write");
    }
}
