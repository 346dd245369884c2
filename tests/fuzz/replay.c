/* fuzz.h, and the entry of each fuzz target: libFuzzer's, or a unit test that reads the corpus. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

char *fuzz_make_dir(void)
{
	char *dir = xasprintf("%s/varve-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");

	must(mkdtemp(dir) != NULL, "no directory");
	return dir;
}

void fuzz_remove_dir(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	(void)rmdir(dir);
}

void fuzz_write(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "we");

	must(f && fwrite(data, 1, size, f) == size && fclose(f) == 0, "cannot write");
}

void *fuzz_read(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "re");
	char *data;
	long size;

	must(f && fseek(f, 0, SEEK_END) == 0, "cannot read");
	size = ftell(f);
	rewind(f);
	data = xcalloc((size_t)size + 1, 1);
	must(fread(data, 1, (size_t)size, f) == (size_t)size, "cannot read");
	fclose(f);
	*ret_size = (size_t)size;
	return data;
}

#ifdef FUZZING_ENGINE
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_set_level(LOG_LEVEL_ERROR); /* hostile input is no news here */
	fuzz_one(data, size);
	return 0;
}
#else
/* 1 on what cannot be read, and on a directory with nothing in it: a corpus that is not there must not pass. */
static int replay(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int files = 0;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *file = xasprintf("%s/%s", path, e->d_name);
		_cleanup_(freep) char *data = NULL;
		size_t size;

		if (e->d_name[0] == '.')
			continue;
		files++;
		data = fuzz_read(file, &size);
		fuzz_one((const uint8_t *)data, size);
	}
	if (d)
		closedir(d);
	printf("%s: %d files\n", path, files);
	return files == 0;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
#endif
