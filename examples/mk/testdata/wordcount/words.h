// next_word reads a word into w, which has room for n characters. It returns 0 at the end of the input.
int next_word(char *w, int n);
