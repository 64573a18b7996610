"""Files of texts: read row by row, and written again with an answer to each. Knows no engine and no HTTP."""
