#include "words.h"
#include <ctype.h>
#include <stdio.h>

int next_word(char *w, int n) {
	int c, i = 0;
	while ((c = getchar()) != EOF && !isalpha(c)) {
	}
	for (; c != EOF && isalpha(c) && i < n - 1; c = getchar()) {
		w[i++] = (char)c;
	}
	w[i] = '\0';
	return i > 0;
}
