/* example.c - reads a payload and prints which images to train on, with their classes. */
#include <stdio.h>
#include <stdlib.h>

#define PLADA_IMPLEMENTATION
#include "plada.h"

#define POOL_SIZE 40 /* how many images this client has */

static uint8_t file[1 << 20];

int main(int argc, char **argv)
{
    plada_options options = plada_default_options();
    plada_memory memory = { 0 };
    plada_info info;
    FILE *stream = argc == 2 ? fopen(argv[1], "rb") : NULL;
    size_t size = stream ? fread(file, 1, sizeof file, stream) : 0;
    uint32_t j;
    int error;

    options.has_pool_size = 1; /* a payload for another pool is refused, and no memory is needed for more than this */
    options.pool_size = POOL_SIZE;
    error = plada_read_header(file, size, &info);
    if (!error) error = plada_check(&info, &options);
    if (!error) {
        memory.capacity = info.count;
        memory.scratch_words = plada_scratch_words(&info);
        memory.indices = (uint32_t *)calloc(info.count + 1, sizeof *memory.indices);
        memory.labels = (uint16_t *)calloc(info.count + 1, sizeof *memory.labels);
        memory.scratch = (uint32_t *)calloc(memory.scratch_words + 1, sizeof *memory.scratch);
        if (!memory.indices || !memory.labels || !memory.scratch) return 2;
        error = plada_decode(file, size, &options, &memory);
    }
    if (error) {
        fprintf(stderr, "not usable: %s\n", plada_error_name(error));
        return 1;
    }
    for (j = 0; j < info.count; j++) printf("image %lu: class %u\n", (unsigned long)memory.indices[j], memory.labels[j]);
    return 0;
}
