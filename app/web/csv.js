// CSV as it comes, piece by piece: rows of cells, with quotes as CSV has them. It knows nothing of what stands in them.

export class CsvParser {
  #delimiter;
  #row = [];
  #cell = "";
  #quoted = false;
  #closing = false; // behind a quote within quotes: the end of the cell, or the first of two
  #begun = false;

  constructor(delimiter) {
    this.#delimiter = delimiter;
  }

  /** The rows that end in this piece. */
  feed(piece) {
    const rows = [];
    for (const unit of piece) this.#take(unit, rows);
    return rows;
  }

  /** The last row, if nothing ended it. */
  end() {
    const rows = [];
    this.#endRow(rows);
    return rows;
  }

  #take(unit, rows) {
    if (this.#quoted) {
      if (unit === '"') {
        this.#closing = true;
        this.#quoted = false;
      } else this.#cell += unit;
      return;
    }
    if (this.#closing && unit === '"') {
      this.#cell += '"';
      this.#quoted = true;
      this.#closing = false;
      return;
    }
    this.#closing = false;
    if (unit === '"' && !this.#cell) {
      this.#quoted = true;
      this.#begun = true;
    } else if (unit === this.#delimiter) {
      this.#row.push(this.#cell);
      this.#cell = "";
      this.#begun = true;
    } else if (unit === "\n") this.#endRow(rows);
    else if (unit !== "\r") this.#cell += unit;
  }

  /** An empty line is no row. */
  #endRow(rows) {
    if (this.#begun || this.#cell || this.#row.length) rows.push([...this.#row, this.#cell]);
    this.#row = [];
    this.#cell = "";
    this.#begun = false;
  }
}

/** Which of the usual delimiters a header has most of; a comma if none. */
export function guessDelimiter(header) {
  const counts = [",", ";", "\t", "|"].map((mark) => [header.split(mark).length, mark]);
  return counts.reduce((best, one) => (one[0] > best[0] ? one : best))[1];
}
