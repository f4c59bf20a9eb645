// count counts a word, and returns how often it has come by now, or 0 if there is no room for another word.
int count(const char *w);
