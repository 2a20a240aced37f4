/* fdatasync fails for segments while the file named by FAIL_SYNC_WHILE exists. Loaded in front of the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fdatasync(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  const char *flag = getenv("FAIL_SYNC_WHILE");
  if (length > 8 && flag != NULL && access(flag, F_OK) == 0) {
    path[length] = '\0';
    if (strcmp(path + length - 8, ".segment") == 0) {
      errno = EIO;
      return -1;
    }
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}
