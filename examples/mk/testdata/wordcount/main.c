#include "table.h"
#include "version.h"
#include "words.h"
#include <stdio.h>

int main(void) {
	char word[64];
	puts("wordcount " VERSION);
	while (next_word(word, sizeof word)) {
		printf("%s %d\n", word, count(word));
	}
	return 0;
}
