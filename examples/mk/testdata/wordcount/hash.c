#include "hash.h"

unsigned hash(const char *w) {
	unsigned h = 5381;
	while (*w != '\0') {
		h = h * 33 + (unsigned char)*w++;
	}
	return h;
}
