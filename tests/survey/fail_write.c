/* LD_PRELOAD: from the n-th write to a regular file on, the disk is full. NORA_FAIL_WRITE=N, NORA_FAIL_IN=PROGRAM. Used by kill_test.cc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int disk_is_full(int fd) {
  static long written = 0, limit = -1;
  if (limit < 0) {
    const char* n = getenv("NORA_FAIL_WRITE");
    const char* in = getenv("NORA_FAIL_IN");
    limit = n != NULL && in != NULL && strcmp(in, program_invocation_short_name) == 0 ? atol(n) : 0;
  }
  struct stat st;
  if (limit == 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fd <= 2) return 0;
  if (__sync_add_and_fetch(&written, 1) < limit) return 0;
  errno = ENOSPC;
  return 1;
}

ssize_t write(int fd, const void* data, size_t n) {
  static ssize_t (*real)(int, const void*, size_t);
  if (real == NULL) real = (ssize_t (*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  return disk_is_full(fd) ? -1 : real(fd, data, n);
}

ssize_t pwrite64(int fd, const void* data, size_t n, off64_t at) {
  static ssize_t (*real)(int, const void*, size_t, off64_t);
  if (real == NULL) real = (ssize_t (*)(int, const void*, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  return disk_is_full(fd) ? -1 : real(fd, data, n, at);
}
