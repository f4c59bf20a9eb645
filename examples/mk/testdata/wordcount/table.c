#include "table.h"
#include "hash.h"
#include <string.h>

enum { SIZE = 1024, LENGTH = 64 };

static struct {
	char word[LENGTH];
	int n;
} table[SIZE];

int count(const char *w) {
	unsigned h = hash(w);
	for (unsigned i = 0; i < SIZE; i++) {
		unsigned at = (h + i) % SIZE;
		if (table[at].n == 0) {
			strncpy(table[at].word, w, LENGTH - 1);
		}
		if (strncmp(table[at].word, w, LENGTH - 1) == 0) {
			return ++table[at].n;
		}
	}
	return 0;
}
