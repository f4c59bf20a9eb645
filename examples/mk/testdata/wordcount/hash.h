// hash returns a number for a word.
unsigned hash(const char *w);
